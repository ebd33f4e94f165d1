"""Peak memory of whole runs against the number of photos: `python -m benchmarks.memory.whole_runs --photos 25600`.

The photos are small and the backbone next to nothing: what grows with their number is seen within minutes, and apart
from what they weigh.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from benchmarks.measuring.subjects import Subject
from benchmarks.memory.small_photos import draw_photos
from benchmarks.run import describe_machine
from benchmarks.scaling import run_scaling
from components.example_gen.options import DataSource

BAR: Final = 1.1
_RESULT: Final = Path(__file__).parents[1] / "results" / "memory_of_runs.json"
_IMAGE_SIZE: Final = 32
_FEATURE_SIZE: Final = 1280
_EPOCHS: Final = 2


@click.command()
@click.option("--photos", "sizes", type=int, multiple=True, default=[25_600, 102_400], show_default=True)
@click.option("--feature-memory", default="64MB", show_default=True, help="Less than the features take at any size.")
@click.option("--result", type=click.Path(path_type=Path), default=_RESULT, help="Where the JSON goes.")
def main(sizes: tuple[int, ...], feature_memory: str, result: Path) -> None:
    """Runs the pipeline on several numbers of photos, prints every component's peak memory, and writes JSON."""
    from benchmarks.memory.generated_features import MeanColors
    from components.modeling.backbones.saved_model import save_feature_vector

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory(prefix="flowers-memory-") as temporary:
        folder = Path(temporary)
        backbone = folder / "backbone"
        save_feature_vector(MeanColors(_FEATURE_SIZE), backbone, (_IMAGE_SIZE, _IMAGE_SIZE))

        def prepare(_: str | None, count: int) -> tuple[DataSource, int]:
            photos = folder / "photos"
            shutil.rmtree(photos, ignore_errors=True)
            draw_photos(photos, count)
            return DataSource(photos=str(photos), data_dir=str(folder / "datasets")), count

        template = Subject(DataSource(), 0, str(backbone), _IMAGE_SIZE, _EPOCHS, folder)
        rows = run_scaling(sorted(sizes), template, console, prepare, "--feature-memory", feature_memory)
    setting = {"feature_size": _FEATURE_SIZE, "feature_memory": feature_memory, "epochs": _EPOCHS}
    command = " ".join(["python -m benchmarks.memory.whole_runs", *sys.argv[1:]])
    found = {"command": command, "machine": describe_machine(), **setting, "results": rows}
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(found, indent=2) + "\n")
    _print(rows, console)
    console.print(f"Written: {result}")


def _print(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table("peak MB", *(f"{row['photos']:,} photos" for row in rows))
    for node in rows[-1]["component_memory_mb"]:
        table.add_row(node, *(f"{row['component_memory_mb'].get(node, 0):,.0f}" for row in rows))
    table.add_row("in all", *(f"{row['peak_memory_mb']:,.0f}" for row in rows))
    console.print(table)
    growth = rows[-1]["peak_memory_mb"] / rows[0]["peak_memory_mb"]
    if len(rows) > 1:
        console.print(f"{'met' if growth <= BAR else 'missed'}: {growth:.2f} times as much, at most {BAR}")


if __name__ == "__main__":
    main()
