"""Statistics on classifications: intervals of shares, calibration, and the most confident mistakes.

Plain Python: a few thousand predictions.
"""

import dataclasses
import math
from collections.abc import Sequence

from components.contracts.evaluation import ExamplePrediction
from pipeline.records.intervals import wilson

NUM_BINS = 10


@dataclasses.dataclass(frozen=True)
class Share:
    """A share of photos with its 95% confidence interval.

    Attributes:
        hits: Photos counted, at most `total`.
        total: Photos looked at.
        low: Lower end of the interval, in [0, 1].
        high: Upper end, in [0, 1].
    """

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself; 0 without photos."""
        return self.hits / self.total if self.total else 0.0


def share_of(hits: int, total: int) -> Share:
    """Returns a share with Wilson's interval; without photos, anything in [0, 1] is possible."""
    if not total:
        return Share(0, 0, 0.0, 1.0)
    interval = wilson(hits, total)
    return Share(hits, total, interval.low, interval.high)


def confident_mistakes(predictions: Sequence[ExamplePrediction], limit: int) -> list[ExamplePrediction]:
    """Returns the wrong predictions with the highest confidence first; equal ones by id."""
    wrong = [prediction for prediction in predictions if not prediction.correct]
    return sorted(wrong, key=lambda prediction: (-prediction.confidence, prediction.id))[:limit]


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """Predictions whose confidence lies in (low, high].

    Attributes:
        low: Lower end of the confidence.
        high: Upper end.
        confidence: Their mean confidence.
        accuracy: The share that is right.
    """

    low: float
    high: float
    confidence: float
    accuracy: Share


def calibration_bins(predictions: Sequence[ExamplePrediction]) -> list[CalibrationBin]:
    """Groups predictions by confidence into `NUM_BINS` bins of equal width; empty bins are left out.

    Args:
        predictions: All predictions of a split.
    """
    groups: list[list[ExamplePrediction]] = [[] for _ in range(NUM_BINS)]
    for prediction in predictions:
        groups[min(max(math.ceil(prediction.confidence * NUM_BINS) - 1, 0), NUM_BINS - 1)].append(prediction)
    return [
        CalibrationBin(
            index / NUM_BINS,
            (index + 1) / NUM_BINS,
            sum(prediction.confidence for prediction in group) / len(group),
            share_of(sum(prediction.correct for prediction in group), len(group)),
        )
        for index, group in enumerate(groups)
        if group
    ]


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Returns the mean distance between confidence and accuracy, weighted by the bins' sizes, in [0, 1].

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.

    Args:
        bins: From `calibration_bins`.
    """
    total = sum(bin_.accuracy.total for bin_ in bins)
    return (
        sum(bin_.accuracy.total * abs(bin_.accuracy.value - bin_.confidence) for bin_ in bins) / total if total else 0.0
    )
