"""How many bytes a run stores for each byte of photos, by the component that wrote them."""

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from benchmarks.measuring.measure import run_measured
from components.contracts import IMAGE_KEY
from components.contracts.nodes import EXAMPLE_GEN
from components.storage.shards import read_shard

import tensorflow as tf  # isort: skip

BAR: Final = 1.5
_RESULTS: Final = Path(__file__).parent / "results" / "scale"


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


def measure_stored(output: Path) -> dict[str, Any]:
    """Sets what a run stored against its photos, as they are in the examples.

    Args:
        output: What it was given as --output.

    Returns:
        `photos`, `photo_bytes` and `stored_bytes`, which is what `count_stored` returns.
    """
    sizes = [
        len(tf.train.Example.FromString(record).features.feature[IMAGE_KEY].bytes_list.value[0])
        for file in (output / "pipelines").glob(f"*/{EXAMPLE_GEN}/*/*/Split-*/*.gz")
        for record in read_shard(str(file))
    ]
    return {"photos": len(sizes), "photo_bytes": sum(sizes), "stored_bytes": count_stored(output)}


def stored_table(found: dict[str, Any]) -> Table:
    """Returns a table of what `measure_stored` found."""
    stored, photos = found["stored_bytes"], found["photo_bytes"]
    total = sum(stored.values())
    title = f"Stored for {found['photos']:,} photos, {photos:,} bytes"
    caption = f"{'met' if total <= BAR * photos else 'missed'}: at most {BAR} per byte of photos"
    table = Table("written by", title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("bytes", justify="right")
    table.add_column("per byte of photos", justify="right")
    for place, size in [*stored.items(), ("in all", total)]:
        table.add_row(place, f"{size:,}", f"{size / photos:.2f}")
    return table


@click.command()
@click.option(
    "--photos", required=True, metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--results-dir", type=click.Path(path_type=Path), default=_RESULTS, help="Where the JSON goes.")
def main(photos: Path, results_dir: Path) -> None:
    """Runs the pipeline on a folder of photos, prints what it stored and writes JSON."""
    with tempfile.TemporaryDirectory(prefix="flowers-bench-") as temporary:
        output = Path(temporary) / "output"
        command = [sys.executable, "local_runner.py", "run", "--photos", os.fspath(photos), "--epochs", "1"]
        command += ["--min-accuracy", "0", "--output", str(output)]
        run_measured(command, Path(temporary) / "run.log")
        found = measure_stored(output)
    results_dir.mkdir(parents=True, exist_ok=True)
    (results_dir / "stored_bytes.json").write_text(json.dumps(found, indent=2) + "\n")
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(stored_table(found))


if __name__ == "__main__":
    main()
