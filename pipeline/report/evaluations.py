"""What an Evaluator measured on one split, with confidence intervals."""

import dataclasses
from collections.abc import Sequence

from components.contracts.evaluation import ClassMetrics, EvaluationMetrics, ExamplePrediction
from components.contracts.nodes import EVALUATIONS
from pipeline.records.run import Run
from pipeline.report import scores
from pipeline.report.scores import CalibrationBin, Share

_NUM_MISTAKES = 12


@dataclasses.dataclass(frozen=True)
class ClassShares:
    """Recall and precision of a class with their intervals, and its F1 score (0.0 where undefined)."""

    name: str
    recall: Share
    precision: Share
    f1_score: float


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluated split.

    Attributes:
        metrics: What was measured.
        accuracy: Share of photos classified correctly.
        classes: In label order.
        bins: Calibration; empty without predictions.
        calibration_error: Expected calibration error; None without predictions.
        mistakes: The wrong predictions with the highest confidence.
    """

    metrics: EvaluationMetrics
    accuracy: Share
    classes: list[ClassShares]
    bins: list[CalibrationBin]
    calibration_error: float | None
    mistakes: list[ExamplePrediction]

    @property
    def split(self) -> str:
        """Its name."""
        return self.metrics.split

    @property
    def num_mistakes(self) -> int:
        """How many photos were classified wrongly."""
        return self.accuracy.total - self.accuracy.hits


def load_evaluations(run: Run) -> dict[str, Evaluation]:
    """Reads what the run's Evaluators left, by split; splits that were not evaluated are missing."""
    found = {split: _load(run, split) for split in EVALUATIONS}
    return {split: evaluation for split, evaluation in found.items() if evaluation}


def _load(run: Run, split: str) -> Evaluation | None:
    metrics = run.metrics(split)
    if not metrics:
        return None
    matrix = metrics.confusion_matrix
    predictions = run.predictions(split)
    bins = scores.calibration_bins(predictions)
    return Evaluation(
        metrics=metrics,
        accuracy=scores.share_of(metrics.correct, sum(map(sum, matrix))),
        classes=[_class_shares(entry, index, matrix) for index, entry in enumerate(metrics.classes)],
        bins=bins,
        calibration_error=scores.expected_calibration_error(bins) if bins else None,
        mistakes=scores.confident_mistakes(predictions, _NUM_MISTAKES),
    )


def _class_shares(metrics: ClassMetrics, index: int, matrix: Sequence[Sequence[int]]) -> ClassShares:
    hits = matrix[index][index]
    return ClassShares(
        name=metrics.name,
        recall=scores.share_of(hits, sum(matrix[index])),
        precision=scores.share_of(hits, sum(row[index] for row in matrix)),
        f1_score=metrics.f1_score or 0.0,
    )
