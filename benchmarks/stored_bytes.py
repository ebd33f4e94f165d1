"""How many bytes a run stores for each byte of photos, by the component that wrote them."""

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from benchmarks.measure import run_measured

BAR: Final = 1.5
_RESULTS: Final = Path(__file__).parent / "results"


def count_stored(output: Path) -> dict[str, int]:
    """Counts what grows with the photos: examples, features, and prepared or unpacked photos.

    Args:
        output: What a run was given as --output.

    Returns:
        {component, or folder of the output: bytes}. A file of several names counts once, for the one that made it.
    """
    pipelines = output / "pipelines"
    # PIPELINE/COMPONENT/OUTPUT/EXECUTION/SPLIT/FILE; executions are numbered in their order.
    records = sorted(pipelines.glob("*/*/*/*/Split-*/*.gz"), key=lambda file: int(file.parts[-3]))
    places = [(file, file.parts[-5]) for file in records]
    places += [(file, "datasets") for file in sorted((output / "datasets").rglob("*")) if file.is_file()]
    seen, sums = set[tuple[int, int]](), Counter[str]()
    for file, place in places:
        status = file.stat()
        identity = status.st_dev, status.st_ino
        sums[place] += 0 if identity in seen else status.st_size
        seen.add(identity)
    return dict(sums)


def _print(stored: dict[str, int], photos: int, console: Console) -> None:
    table = Table("written by", title=f"Stored for {photos:,} bytes of photos", title_justify="left")
    table.add_column("bytes", justify="right")
    table.add_column("per byte of photos", justify="right")
    for place, size in [*stored.items(), ("in all", sum(stored.values()))]:
        table.add_row(place, f"{size:,}", f"{size / photos:.2f}")
    console.print(table)
    total = sum(stored.values()) / photos
    console.print(f"{'met' if total <= BAR else 'missed'}: at most {BAR} bytes per byte of photos")


@click.command()
@click.option(
    "--photos", required=True, metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--results-dir", type=click.Path(path_type=Path), default=_RESULTS, help="Where the JSON goes.")
def main(photos: Path, results_dir: Path) -> None:
    """Runs the pipeline on a folder of photos, prints what it stored and writes JSON."""
    files = [file for file in photos.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    with tempfile.TemporaryDirectory(prefix="flowers-bench-") as temporary:
        output = Path(temporary) / "output"
        command = [sys.executable, "local_runner.py", "run", "--photos", os.fspath(photos), "--epochs", "1"]
        command += ["--min-accuracy", "0", "--output", str(output)]
        run_measured(command, Path(temporary) / "run.log")
        stored = count_stored(output)
    results = {"photos": len(files), "photo_bytes": size, "stored_bytes": stored}
    results_dir.mkdir(parents=True, exist_ok=True)
    (results_dir / "stored_bytes.json").write_text(json.dumps(results, indent=2) + "\n")
    _print(stored, size, Console(highlight=False, width=None if sys.stdout.isatty() else 120))


if __name__ == "__main__":
    main()
