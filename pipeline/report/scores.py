"""The figures of one evaluated split: proportions with confidence intervals, calibration, and mistakes."""

import dataclasses
import functools
import math
from collections.abc import Sequence

from components.contracts.evaluation import EvaluationMetrics, ExamplePrediction
from pipeline.records.intervals import Interval, wilson

NUM_BINS = 10
_NUM_MISTAKES = 12


@dataclasses.dataclass(frozen=True)
class Proportion:
    """`hits` of `total` photos."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The proportion, in [0, 1]; 0 without photos."""
        return self.hits / self.total if self.total else 0.0

    @functools.cached_property
    def interval(self) -> Interval:
        """Its 95% confidence interval."""
        return wilson(self.hits, self.total)


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """Recall and precision of a class with their intervals, and its F1 score (0.0 where undefined)."""

    name: str
    recall: Proportion
    precision: Proportion
    f1_score: float


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """Predictions with a confidence in (low, high]: their mean confidence, and how many are correct."""

    low: float
    high: float
    confidence: float
    accuracy: Proportion


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluated split; `predictions` is empty if their file is missing."""

    metrics: EvaluationMetrics
    predictions: Sequence[ExamplePrediction]

    @property
    def accuracy(self) -> Proportion:
        """Photos classified correctly."""
        return Proportion(self.metrics.correct, sum(map(sum, self.metrics.confusion_matrix)))

    @property
    def num_mistakes(self) -> int:
        """Photos classified wrongly."""
        return self.accuracy.total - self.accuracy.hits

    @functools.cached_property
    def classes(self) -> Sequence[ClassScores]:
        """In label order; the prediction is the most probable class."""
        matrix = self.metrics.confusion_matrix
        return [
            ClassScores(
                name=entry.name,
                recall=Proportion(matrix[index][index], sum(matrix[index])),
                precision=Proportion(matrix[index][index], sum(row[index] for row in matrix)),
                f1_score=entry.f1_score or 0.0,
            )
            for index, entry in enumerate(self.metrics.classes)
        ]

    @functools.cached_property
    def bins(self) -> Sequence[CalibrationBin]:
        """See `calibration_bins`."""
        return calibration_bins(self.predictions)

    @property
    def calibration_error(self) -> float:
        """See `expected_calibration_error`."""
        return expected_calibration_error(self.bins)

    @functools.cached_property
    def mistakes(self) -> Sequence[ExamplePrediction]:
        """The most confident mistakes."""
        return confident_mistakes(self.predictions, _NUM_MISTAKES)


def confident_mistakes(predictions: Sequence[ExamplePrediction], limit: int) -> list[ExamplePrediction]:
    """Returns the wrong predictions with the highest confidence first; equal ones by id."""
    wrong = [prediction for prediction in predictions if not prediction.correct]
    return sorted(wrong, key=lambda prediction: (-prediction.confidence, prediction.id))[:limit]


def calibration_bins(predictions: Sequence[ExamplePrediction]) -> list[CalibrationBin]:
    """Groups predictions by confidence into `NUM_BINS` bins of equal width, without the empty ones."""
    groups: list[list[ExamplePrediction]] = [[] for _ in range(NUM_BINS)]
    for prediction in predictions:
        groups[min(max(math.ceil(prediction.confidence * NUM_BINS) - 1, 0), NUM_BINS - 1)].append(prediction)
    return [
        CalibrationBin(
            index / NUM_BINS,
            (index + 1) / NUM_BINS,
            sum(prediction.confidence for prediction in group) / len(group),
            Proportion(sum(prediction.correct for prediction in group), len(group)),
        )
        for index, group in enumerate(groups)
        if group
    ]


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Returns the mean gap between confidence and accuracy, weighted by the bins' sizes, in [0, 1]; 0 without bins.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    total = sum(entry.accuracy.total for entry in bins)
    gaps = sum(entry.accuracy.total * abs(entry.accuracy.value - entry.confidence) for entry in bins)
    return gaps / total if total else 0.0
