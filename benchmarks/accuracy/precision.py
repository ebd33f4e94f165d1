"""`python -m benchmarks.accuracy.precision --photos PATH`: what `--precision bfloat16` costs.

Training photos' features in bfloat16 against float32: heads are trained on both as `benchmarks.accuracy` does it, and
validated and tested on features in float32, as the pipeline does it.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import click
import numpy as np
import tensorflow as tf
from rich.console import Console
from tfx.utils import path_utils

from benchmarks.accuracy.heads import measure
from benchmarks.accuracy.trainings import QUALITY, summarize, table_of
from benchmarks.measuring.run_features import example_id, read_features, read_photos, run_pipeline
from benchmarks.run import describe_machine
from components.contracts import BFLOAT16, FEATURE_VECTOR_KEY, FLOAT32, TEST_SPLIT, TRAIN_SPLIT, nodes
from components.feature_extractor.extractor import ExtractionConfig, Extractor
from components.modeling.hyperparameters import REFERENCE, STRONG
from pipeline.records.store import Run

_RESULT: Final = Path(__file__).parents[1] / "results" / "accuracy" / "precision.json"
_BATCH: Final = 32


@dataclasses.dataclass(frozen=True)
class BothPrecisions:
    """Features of all photos of a run.

    Attributes:
        vectors: By precision, float32 [N, D].
        photos_per_second: By precision: decoding, forward pass and all.
    """

    vectors: dict[str, np.ndarray]
    photos_per_second: dict[str, float]

    @property
    def difference(self) -> float:
        """How much they differ at most, as a share of the largest."""
        first, second = self.vectors.values()
        return float(np.abs(second - first).max() / np.abs(first).max())


def extract(run: Run, ids: Sequence[bytes]) -> BothPrecisions:
    """Extracts the features of a run's photos in both precisions, in the order of their ids."""
    photos = read_photos(run)
    records = [photos[example_id] for example_id in ids]
    config = ExtractionConfig(
        backbone_path=path_utils.serving_model_path(str(run.folder(nodes.BACKBONE))),
        backbone_digest="",
        transform_graph_path=str(run.folder(nodes.Output(nodes.TRANSFORM, "transform_graph"))),
        total=len(records),
        launcher="benchmark",
        precision=BFLOAT16,
    )
    extractor, vectors, rates = Extractor(config), {}, {}
    for precision, split in ((FLOAT32, TEST_SPLIT), (BFLOAT16, TRAIN_SPLIT)):
        batches = [(split, records[start : start + _BATCH]) for start in range(0, len(records), _BATCH)]
        list(extractor.extract(batches[:1]))
        started = time.perf_counter()
        vectors[precision] = np.concatenate([found for _, found in extractor.extract(batches)])
        rates[precision] = round(len(records) / (time.perf_counter() - started), 1)
    return BothPrecisions(vectors, rates)


def _with_vector(record: bytes, vector: np.ndarray) -> bytes:
    example = tf.train.Example.FromString(record)
    example.features.feature[FEATURE_VECTOR_KEY].float_list.value[:] = vector
    return example.SerializeToString(deterministic=True)


@click.command()
@click.option("--photos", required=True, metavar="PATH", help="Your own photos, as `run` takes them.")
@click.option("--backbone", default="efficientnet_lite0", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/benchmarks/precision"))
@click.option("--seeds", default="0,1,2", show_default=True, help="Of splits and training.")
def main(*, photos: str, backbone: str, output: Path, seeds: str) -> None:
    """Trains on features in either precision, prints mean and spread over seeds, and writes JSON."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    run = run_pipeline(photos, output, "--backbone", backbone)
    found = read_features(run)
    extracted = extract(run, [example_id(record) for record in found.serialized])
    records = {
        precision: [_with_vector(record, vector) for record, vector in zip(found.serialized, vectors, strict=True)]
        for precision, vectors in extracted.vectors.items()
    }
    features = dataclasses.replace(found, serialized=records[FLOAT32], vectors=extracted.vectors[FLOAT32])
    outcomes, changed = [], {}
    for seed in map(int, seeds.split(",")):
        for recipe in (REFERENCE, STRONG):
            right = {}
            for precision in (FLOAT32, BFLOAT16):
                outcome, right[precision] = measure(recipe, seed, features, training=records[precision])
                outcomes.append(dataclasses.replace(outcome, recipe=f"{recipe}, {precision}"))
            changed[f"{recipe}, seed {seed}"] = int(np.sum(right[FLOAT32] != right[BFLOAT16]))
    summary = summarize(outcomes)
    content: dict[str, Any] = {
        "photos": len(features.labels),
        "backbone": backbone,
        "machine": describe_machine(),
        "photos_per_second": extracted.photos_per_second,
        "largest_difference": round(extracted.difference, 5),
        "test_photos_that_are_right_in_one_alone": changed,
        "summary": summary,
    }
    _RESULT.write_text(json.dumps(content, indent=2) + "\n")
    console.print(table_of(summary, QUALITY))
    console.print(
        f"Photos/s: {extracted.photos_per_second}; features differ by {extracted.difference:.2%} of the largest"
    )


if __name__ == "__main__":
    main()
