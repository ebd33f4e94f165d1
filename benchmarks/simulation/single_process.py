"""What only one process does, per photo: `python -m benchmarks.simulation.single_process`."""

import dataclasses
import json
import pickle
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import tensorflow as tf

from benchmarks.memory.small_photos import draw_photos
from benchmarks.run import describe_machine
from components.contracts.evaluation import ExamplePrediction
from components.evaluator.classifier import classify
from components.example_gen.data_source import find_photos
from components.example_gen.options import DataSource
from components.image_validator.duplicates import PerceptualHashes, Photo, find_links
from components.photos.check import ImageCheck
from components.storage.examples_io import to_example

_RESULT: Final = Path(__file__).parents[1] / "results" / "scale" / "single_process.json"
_CLASSES: Final = 5
_DISTANCE: Final = 4
_IN_A_BAND: Final = 4096


@click.command()
@click.option("--photos", type=int, default=12_800, show_default=True)
@click.option("--result", type=click.Path(path_type=Path), default=_RESULT, help="Where the JSON goes.")
def main(photos: int, result: Path) -> None:
    """Measures listing, writing and reading predictions, and comparing hashes, and writes JSON."""
    with tempfile.TemporaryDirectory(prefix="flowers-single-") as temporary:
        found = {**_measure_listing(Path(temporary), photos), **_measure_predictions(photos), **_measure_duplicates()}
    command = " ".join(["python -m benchmarks.simulation.single_process", *sys.argv[1:]])
    content = json.dumps({"command": command, "machine": describe_machine(), "photos": photos, **found}, indent=2)
    result.write_text(content + "\n")
    click.echo(content)


def _measure_listing(folder: Path, photos: int) -> dict[str, float]:
    draw_photos(folder, photos)
    source = DataSource(photos=str(folder), data_dir=str(folder.parent))
    seconds, listed = _timed(lambda: find_photos(source))
    held = _held_bytes(lambda: find_photos(source))
    file = listed.photo_set.files[0]
    example = to_example(str(file.file).encode(), 0, file.path.encode())
    sent = len(example.SerializeToString()) + len(file.path)
    return {"listing_s": seconds / photos, "listing_bytes": held / photos, "listed_bytes": sent}


def _measure_predictions(photos: int) -> dict[str, float]:
    probabilities = np.full((1, _CLASSES), 1 / _CLASSES)
    example = to_example(b"photo" * 200, 0, b"class/0000/00000000.jpg").SerializeToString()
    examples = tf.data.Dataset.from_tensors(example).repeat(photos)

    def write() -> list[str]:
        batches = classify({"model": lambda batch: np.repeat(probabilities, len(batch), 0)}, examples)
        return [
            json.dumps(dataclasses.asdict(prediction)) + "\n"
            for batch in batches
            for prediction in batch.predictions("model")
        ]

    def read() -> list[ExamplePrediction]:
        return [ExamplePrediction(**json.loads(line)) for line in lines]

    written_s, lines = _timed(write)
    read_s, _ = _timed(read)
    return {
        "prediction_s": written_s / photos,
        "line_bytes": len(lines[0]),
        "report_s": read_s / photos,
        "report_bytes": _held_bytes(read) / photos,
    }


def _measure_duplicates() -> dict[str, float]:
    random = np.random.default_rng(0)
    contents = [(random.bytes(32) + bytes(8), random.bytes(8), random.bytes(8)) for _ in range(_IN_A_BAND)]
    seconds, _ = _timed(lambda: list(find_links(contents, _DISTANCE)))
    photo = Photo(
        "validation",
        b"class/0000/00000000.jpg",
        0,
        "class",
        random.bytes(32),
        ImageCheck(None, "JPEG", "RGB"),
        PerceptualHashes(b"8 bytes.", b"8 bytes."),
    )
    return {
        "pair_s": seconds / (_IN_A_BAND * (_IN_A_BAND - 1) / 2),
        "checked_bytes": len(pickle.dumps(photo)),
    }


def _timed(measured: Callable[[], Any]) -> tuple[float, Any]:
    """Returns CPU seconds, which other programs lengthen less than wall seconds, and what was returned."""
    started = time.process_time()
    found = measured()
    return time.process_time() - started, found


def _held_bytes(measured: Callable[[], Any]) -> int:
    tracemalloc.start()
    held = measured()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del held
    return size


if __name__ == "__main__":
    main()
