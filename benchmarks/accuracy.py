"""`python -m benchmarks.accuracy --photos PATH`: the recipes side by side, over seeds.

A frozen backbone gives a photo the same features in whichever split it is. So the pipeline extracts them once, and each
recipe then trains its head with the Trainer's own code on splits that each seed draws anew.
"""

import dataclasses
import json
import statistics
import sys
import tempfile
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
from rich.table import Table

from benchmarks.measuring.measure import run_measured
from benchmarks.run import describe_machine
from components.common.contracts import FEATURE_VECTOR_KEY, LABEL_KEY
from components.common.contracts.evaluation import ExamplePrediction
from components.common.contracts.nodes import FEATURES
from components.modeling.hyperparameters import REFERENCE, STRONG, Hyperparameters
from components.modeling.input_pipeline import FeaturePipeline, read_serialized
from components.trainer.calibration import cross_entropy
from components.trainer.run_fn import train_head
from pipeline.history.intervals import Interval, paired_difference
from pipeline.history.store import open_store
from pipeline.report.scores import calibration_bins, expected_calibration_error

_RESULTS: Final = Path(__file__).parent / "results" / "accuracy.json"
# Of train and of validation; the rest is for testing.
_SHARES: Final = (0.5, 0.25)
_RECIPES: Final = (REFERENCE, STRONG)
_METRICS: Final = ("test_accuracy", "calibration_error", "cross_entropy", "seconds")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One training.

    Attributes:
        recipe: The recipe.
        seed: Of the splits and of the training.
        test_accuracy: In [0, 1].
        calibration_error: Expected calibration error on the test split, in ten bins.
        cross_entropy: Negative log likelihood per test photo.
        seconds: What the head took, features given.
    """

    recipe: str
    seed: int
    test_accuracy: float
    calibration_error: float
    cross_entropy: float
    seconds: float


def split_labels(labels: np.ndarray, seed: int) -> list[np.ndarray]:
    """Deals examples to train, validation and test, class by class; returns their indices."""
    rng = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[], [], []]
    for label in np.unique(labels):
        indices = rng.permutation(np.flatnonzero(labels == label))
        bounds = np.round(np.cumsum(_SHARES) * len(indices)).astype(int)
        for part, found in zip(parts, np.split(indices, bounds), strict=True):
            part.append(found)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def measure(
    recipe: str, seed: int, serialized: Sequence[bytes], features: np.ndarray, labels: np.ndarray
) -> tuple[Outcome, np.ndarray]:
    """Trains a head by a recipe, as the Trainer does, and tests it.

    Args:
        recipe: One of the recipes.
        seed: Of the splits and of the training.
        serialized: N feature examples.
        features: Their vectors, float32 [N, D].
        labels: Their labels, int64 [N].

    Returns:
        The outcome, and which of the test photos were right.
    """
    train, validation, test = split_labels(labels, seed)
    hyperparameters = Hyperparameters(recipe=recipe, seed=seed)
    with tempfile.TemporaryDirectory(prefix="flowers-accuracy-") as work_dir:
        files = [_write([serialized[i] for i in part], f"{work_dir}/{len(part)}.gz") for part in (train, validation)]
        pipeline = FeaturePipeline([files[0]], [files[1]], 10**9)
        started = time.monotonic()
        head = train_head(pipeline, hyperparameters, int(labels.max()) + 1, work_dir)
        seconds = time.monotonic() - started
    logits = head(features[test], training=False).numpy()
    predictions = [
        ExamplePrediction(id="", label=int(label), probabilities=row.tolist(), digest="")
        for label, row in zip(labels[test], tf.nn.softmax(logits).numpy(), strict=True)
    ]
    right = np.array([prediction.correct for prediction in predictions])
    outcome = Outcome(
        recipe=recipe,
        seed=seed,
        test_accuracy=round(float(right.mean()), 4),
        calibration_error=round(expected_calibration_error(calibration_bins(predictions)), 4),
        cross_entropy=round(cross_entropy(logits, labels[test]), 4),
        seconds=round(seconds, 2),
    )
    return outcome, right


def _write(records: Sequence[bytes], path: str) -> str:
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for record in records:
            writer.write(record)
    return path


def extract_features(photos: str, output: Path, log: Path) -> None:
    """Runs the pipeline; one that has run there is answered from its cache."""
    command = [sys.executable, "local_runner.py", "run", "--photos", photos, "--output", str(output)]
    run_measured([*command, "--min-accuracy", "0", "--max-accuracy-drop", "1"], log)


def read_features(output: Path) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """Reads the feature examples of the latest run, their vectors [N, D] and their labels [N]."""
    artifact = open_store(str(output)).find_run("latest").artifact(FEATURES)
    if artifact is None:
        raise LookupError(f"the latest run in {output} has extracted no features")
    serialized = list(read_serialized([f"{artifact.path}/Split-*/*"]).as_numpy_iterator())
    found = [tf.train.Example.FromString(record).features.feature for record in serialized]
    vectors = np.array([feature[FEATURE_VECTOR_KEY].float_list.value for feature in found], np.float32)
    return serialized, vectors, np.array([feature[LABEL_KEY].int64_list.value[0] for feature in found])


def summarize(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Returns mean and standard deviation over the seeds, by recipe."""
    summary: dict[str, dict[str, float]] = {}
    for recipe in dict.fromkeys(outcome.recipe for outcome in outcomes):
        summary[recipe] = {}
        for name in _METRICS:
            values = [getattr(outcome, name) for outcome in outcomes if outcome.recipe == recipe]
            summary[recipe][f"{name}_mean"] = round(statistics.fmean(values), 4)
            summary[recipe][f"{name}_spread"] = round(statistics.stdev(values), 4) if len(values) > 1 else 0.0
    return summary


def compare(right: dict[str, np.ndarray]) -> Interval:
    """Returns the paired interval of what the strong recipe gains over the reference on the same test photos."""
    strong, reference = right[STRONG], right[REFERENCE]
    return paired_difference(int(np.sum(strong & ~reference)), int(np.sum(reference & ~strong)), len(strong))


def _table(summary: dict[str, dict[str, float]]) -> Table:
    table = Table("mean ± standard deviation", *(name.replace("_", " ") for name in _METRICS))
    for recipe, row in summary.items():
        table.add_row(recipe, *(f"{row[f'{name}_mean']:.4f} ± {row[f'{name}_spread']:.4f}" for name in _METRICS))
    return table


@click.command()
@click.option("--photos", metavar="PATH", help="Your own photos, as `run` takes them; without, what --output holds.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/benchmarks/accuracy"), show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True, help="Of splits and training.")
@click.option("--result", type=click.Path(path_type=Path), default=_RESULTS, help="Where the JSON goes.")
def main(*, photos: str | None, output: Path, seeds: str, result: Path) -> None:
    """Trains a head by each recipe on the same splits, prints mean and spread over seeds, and writes JSON."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    if photos:
        extract_features(photos, output, output.with_suffix(".log"))
    examples = read_features(output)
    outcomes, gains = [], {}
    for seed in map(int, seeds.split(",")):
        right = {}
        for recipe in _RECIPES:
            outcome, right[recipe] = measure(recipe, seed, *examples)
            outcomes.append(outcome)
            console.print(f"{recipe}, seed {seed}: {outcome.test_accuracy:.4f}")
        gains[seed] = dataclasses.asdict(compare(right))
    summary = summarize(outcomes)
    content: dict[str, Any] = {
        "photos": len(examples[0]),
        "machine": describe_machine(),
        "summary": summary,
        "gain_of_strong_by_seed": gains,
        "runs": [dataclasses.asdict(outcome) for outcome in outcomes],
    }
    result.write_text(json.dumps(content, indent=2) + "\n")
    console.print(_table(summary))


if __name__ == "__main__":
    main()
