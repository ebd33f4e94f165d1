"""What an Evaluator measured on one split, with confidence intervals."""

import dataclasses
from collections.abc import Sequence

from components.contracts.evaluation import EvaluationMetrics, ExamplePrediction
from components.contracts.nodes import EVALUATIONS
from pipeline.records.run import Run
from pipeline.report import scores
from pipeline.report.scores import CalibrationBin, Share

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
        metrics: What was measured.
        accuracy: Share of photos classified correctly.
        classes: One result per class, in label order.
        bins: Calibration; empty without predictions.
        calibration_error: Expected calibration error; None without predictions.
        mistakes: The wrong predictions with the highest confidence.
    """

    metrics: EvaluationMetrics
    accuracy: Share
    classes: list[ClassResult]
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
        classes=[_class_result(entry.name, index, matrix) for index, entry in enumerate(metrics.classes)],
        bins=bins,
        calibration_error=scores.expected_calibration_error(bins) if bins else None,
        mistakes=scores.confident_mistakes(predictions, _NUM_MISTAKES),
    )


def _class_result(name: str, index: int, matrix: Sequence[Sequence[int]]) -> ClassResult:
    hits = matrix[index][index]
    return ClassResult(
        name=name,
        recall=scores.share_of(hits, sum(matrix[index])),
        precision=scores.share_of(hits, sum(row[index] for row in matrix)),
    )
