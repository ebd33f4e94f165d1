"""What one training of the benchmark of accuracy is: its splits, and what came of it."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf
from rich.table import Table

from components.contracts.evaluation import ExamplePrediction
from components.trainer.calibration import cross_entropy
from pipeline.report.scores import calibration_bins, expected_calibration_error

# Of train and of validation; the rest is for testing.
_SHARES: Final = (0.5, 0.25)
QUALITY: Final = ("test_accuracy", "calibration_error", "cross_entropy")
METRICS: Final = (*QUALITY, "seconds")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One training.

    Attributes:
        recipe: The recipe.
        seed: Of the splits and of the training.
        test_accuracy: In [0, 1].
        calibration_error: Expected calibration error on the test split, in ten bins.
        cross_entropy: Negative log likelihood per test photo.
        seconds: What training took, features given.
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


def judge(recipe: str, seed: int, logits: np.ndarray, labels: np.ndarray, seconds: float) -> tuple[Outcome, np.ndarray]:
    """Tests a classifier.

    Args:
        recipe: How it was trained.
        seed: Of the splits and of the training.
        logits: Of the test photos, float32 [N, C].
        labels: Theirs, int64 [N].
        seconds: What training took.

    Returns:
        The outcome, and which of the test photos were right.
    """
    predictions = [
        ExamplePrediction(id="", label=int(label), probabilities=row.tolist(), digest="")
        for label, row in zip(labels, tf.nn.softmax(logits).numpy(), strict=True)
    ]
    right = np.array([prediction.correct for prediction in predictions])
    outcome = Outcome(
        recipe=recipe,
        seed=seed,
        test_accuracy=round(float(right.mean()), 4),
        calibration_error=round(expected_calibration_error(calibration_bins(predictions)), 4),
        cross_entropy=round(cross_entropy(logits, labels), 4),
        seconds=round(seconds, 2),
    )
    return outcome, right


def write_records(records: Sequence[bytes], path: str) -> str:
    """Writes a gzip-compressed TFRecord file; returns its path."""
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for record in records:
            writer.write(record)
    return path


def summarize(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Returns mean and standard deviation over the seeds, by recipe."""
    summary: dict[str, dict[str, float]] = {}
    for recipe in dict.fromkeys(outcome.recipe for outcome in outcomes):
        summary[recipe] = {}
        for name in METRICS:
            values = [getattr(outcome, name) for outcome in outcomes if outcome.recipe == recipe]
            summary[recipe][f"{name}_mean"] = round(statistics.fmean(values), 4)
            summary[recipe][f"{name}_spread"] = round(statistics.stdev(values), 4) if len(values) > 1 else 0.0
    return summary


def table_of(summary: Mapping[str, Mapping[str, Any]], metrics: Sequence[str] = METRICS) -> Table:
    """Returns a table of means and standard deviations.

    Args:
        summary: As `summarize` returns it; may hold more.
        metrics: Its columns.
    """
    table = Table("mean ± standard deviation", *(name.replace("_", " ") for name in metrics))
    for title, row in summary.items():
        table.add_row(title, *(f"{row[f'{name}_mean']:.4f} ± {row[f'{name}_spread']:.4f}" for name in metrics))
    return table
