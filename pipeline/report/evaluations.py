"""What an Evaluator measured on one split, with confidence intervals."""

import dataclasses
from typing import Any

from components.common.contracts import TEST_SPLIT, VALIDATION_SPLIT
from pipeline.history.run_files import RunRecords
from pipeline.report import scores
from pipeline.report.scores import CalibrationBin, Prediction, Share

# The names that components.evaluator.executor writes; importing it would import TensorFlow.
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.jsonl"
EVALUATED_SPLITS = (VALIDATION_SPLIT, TEST_SPLIT)
_NUM_MISTAKES = 12


@dataclasses.dataclass(frozen=True)
class ClassResult:
    """One class of one split, each photo counted for its most probable class.

    TFMA counts a class as predicted from a probability of 0.5, so its recall leaves undecided photos out; here the
    figures agree with accuracy and confusion matrix.

    Attributes:
        name: The class.
        recall: Share of its photos that were recognized.
        precision: Share of the photos called so that are.
    """

    name: str
    recall: Share
    precision: Share

    @property
    def f1_score(self) -> float:
        """Harmonic mean of recall and precision; 0 when both are."""
        total = self.recall.total + self.precision.total
        return 2 * self.recall.hits / total if total else 0.0


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluated split.

    Attributes:
        split: Its name.
        metrics: Content of `metrics.json`.
        accuracy: Share of photos classified correctly.
        classes: One result per class, in label order.
        confusion_matrix: Photos by true (row) and predicted (column) class.
        bins: Calibration; empty without predictions.
        calibration_error: Expected calibration error; None without predictions.
        mistakes: The wrong predictions with the highest confidence.
    """

    split: str
    metrics: dict[str, Any]
    accuracy: Share
    classes: list[ClassResult]
    confusion_matrix: list[list[int]]
    bins: list[CalibrationBin]
    calibration_error: float | None
    mistakes: list[Prediction]

    @property
    def num_mistakes(self) -> int:
        """How many photos were classified wrongly."""
        return self.accuracy.total - self.accuracy.hits


def load_evaluations(records: RunRecords) -> dict[str, Evaluation]:
    """Reads what the run's Evaluators left.

    Args:
        records: The run.

    Returns:
        By split; splits that were not evaluated are missing.
    """
    found = {split: _load(records, split) for split in EVALUATED_SPLITS}
    return {split: evaluation for split, evaluation in found.items() if evaluation}


def _load(records: RunRecords, split: str) -> Evaluation | None:
    node_id = f"Evaluator.{split}"
    metrics = records.json(node_id, "evaluation", METRICS_FILE)
    if not metrics:
        return None
    # TFMA writes numbers that are none as text: a loss that diverged is "NaN".
    for entry in (metrics, metrics["baseline"] or {}):
        entry.update({name: float(entry[name]) for name in ("accuracy", "loss") if name in entry})
    matrix: list[list[int]] = metrics["confusion_matrix"]
    lines = records.json_lines(node_id, "evaluation", PREDICTIONS_FILE)
    predictions = [scores.parse_prediction(line) for line in lines]
    bins = scores.calibration_bins(predictions)
    return Evaluation(
        split=split,
        metrics=metrics,
        accuracy=scores.share_of(sum(row[i] for i, row in enumerate(matrix)), sum(map(sum, matrix))),
        classes=[_class_result(entry, index, matrix) for index, entry in enumerate(metrics["classes"])],
        confusion_matrix=matrix,
        bins=bins,
        calibration_error=scores.expected_calibration_error(bins) if bins else None,
        mistakes=scores.confident_mistakes(predictions, _NUM_MISTAKES),
    )


def _class_result(entry: dict[str, Any], index: int, matrix: list[list[int]]) -> ClassResult:
    hits = matrix[index][index]
    return ClassResult(
        name=entry["name"],
        recall=scores.share_of(hits, sum(matrix[index])),
        precision=scores.share_of(hits, sum(row[index] for row in matrix)),
    )
