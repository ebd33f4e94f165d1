"""The report's charts, which the macro `chart` draws as SVG: faster than Matplotlib, with the page's colours and fonts.

Every chart has its numbers in a table beside it.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from components.contracts.evaluation import ACCURACY, LOSS
from components.contracts.training import EpochResult, best_epoch
from pipeline.report.filters import shortened
from pipeline.report.scores import Evaluation
from pipeline.report.view import RunView

# In pixels, of text of 12 pixels.
_WIDTH: Final = 450
_HEIGHT: Final = 300
_TOP: Final = 34  # the legend
_BOTTOM: Final = 44  # tick labels and the axis' label
_LEFT: Final = 60
_RIGHT: Final = 14
_CHARACTER: Final = 6.8
_ROW: Final = 34  # of a class
_MAX_LABEL: Final = 22
_MAX_CHART_CLASSES: Final = 60
_TICKS: Final = 6

_Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Axis:
    """Maps values in [low, high] to pixels from `start` to `end`; `ticks` are pixels and labels."""

    low: float
    high: float
    start: float
    end: float
    label: str = ""
    is_percent: bool = False
    is_whole: bool = False
    rows: Sequence[str] = ()

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    @property
    def ticks(self) -> Sequence[tuple[float, str]]:
        """The named rows, or round numbers."""
        if self.rows:
            return [(self(row), name) for row, name in enumerate(self.rows)]
        step = max(_step(self.low, self.high), 1 if self.is_whole else 0)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        numbers = [number * step for number in range(first, last + 1)]
        return [(self(number), f"{100 * number:g}%" if self.is_percent else f"{number:g}") for number in numbers]


@dataclasses.dataclass(frozen=True)
class Series:
    """The values of one split as points, with the ends of their intervals; those of a curve are joined instead."""

    name: str
    points: Sequence[_Point]
    whiskers: Sequence[tuple[_Point, _Point]] = ()


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart; `name` is unique in the page. `guide` is a dotted line between two points, with its meaning."""

    name: str
    title: str
    description: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    guide: tuple[_Point, _Point] | None = None
    guide_label: str = ""
    width: int = _WIDTH

    @property
    def height(self) -> float:
        """In pixels."""
        return self.y.start + _BOTTOM

    @property
    def legend(self) -> Sequence[tuple[float, str]]:
        """Left edge and text of every entry."""
        entries, left = [], self.x.start
        for name in [series.name for series in self.series] + [self.guide_label] * bool(self.guide):
            entries.append((round(left, 1), name))
            left += 36 + _CHARACTER * len(name)
        return entries


@dataclasses.dataclass(frozen=True)
class TrainingCurves:
    """The epochs of one Trainer, the one whose weights were kept, and charts of accuracy and loss."""

    node_id: str
    epochs: Sequence[EpochResult]
    best: EpochResult
    charts: Sequence[Chart]


def training_curves(view: RunView) -> list[TrainingCurves]:
    """Returns the curves of every training of the run."""
    curves = []
    for node_id in view.run.model_runs:
        if epochs := view.run.epochs(node_id):
            best = epochs[best_epoch(epochs)]
            name = f"chart-{node_id.replace('.', '-')}"
            charts = [_training_curve(f"{name}-{metric}", epochs, metric, best.epoch) for metric in (ACCURACY, LOSS)]
            curves.append(TrainingCurves(node_id, epochs, best, charts))
    return curves


def evaluation_charts(view: RunView) -> Mapping[str, Chart]:
    """Returns the charts of the evaluated splits by name; those without data are missing."""
    evaluations = view.evaluations
    charts = {}
    if evaluations and len(next(iter(evaluations.values())).classes) <= _MAX_CHART_CLASSES:
        charts["recall"] = _recall_chart(evaluations)
    if calibrated := {split: evaluation for split, evaluation in evaluations.items() if evaluation.bins}:
        charts["reliability"] = _reliability_diagram(calibrated)
    return charts


def _training_curve(name: str, epochs: Sequence[EpochResult], metric: str, best: int) -> Chart:
    keys = {"training": metric, "validation": f"validation_{metric}"}
    values = {split: [getattr(epoch, key) for epoch in epochs] for split, key in keys.items()}
    low, high = _range(value for series in values.values() for value in series)
    first, last = epochs[0], epochs[-1]
    x = Axis(first.epoch, max(last.epoch, first.epoch + 1), _LEFT, _WIDTH - _RIGHT, "epoch", is_whole=True)
    y = Axis(low, high, _HEIGHT - _BOTTOM, _TOP, is_percent=metric == ACCURACY)
    series = [
        Series(split, [(x(epoch.epoch), y(value)) for epoch, value in zip(epochs, points, strict=True)
                       if math.isfinite(value)])
        for split, points in values.items()
    ]  # fmt: skip
    description = (
        f"{metric.capitalize()} after epoch {last.epoch}: {getattr(last, metric):.3f} in training, "
        f"{getattr(last, f'validation_{metric}'):.3f} in validation. The weights of epoch {best} were kept."
    )
    guide = ((x(best), y.start), (x(best), y.end))
    return Chart(name, f"{metric.capitalize()} per epoch", description, x, y, series, guide, f"kept: epoch {best}")


def _recall_chart(evaluations: Mapping[str, Evaluation]) -> Chart:
    """Draws a row per class."""
    names = [shortened(entry.name, _MAX_LABEL) for entry in next(iter(evaluations.values())).classes]
    left = 16 + _CHARACTER * max(map(len, names))
    recalls = {split: [entry.recall for entry in evaluation.classes] for split, evaluation in evaluations.items()}
    lowest = min(recall.interval.low for series in recalls.values() for recall in series)
    x = Axis(min(lowest, 0.9), 1.0, left, _WIDTH - _RIGHT - 6, is_percent=True)
    y = Axis(len(names) - 0.5, -0.5, max(_HEIGHT - _BOTTOM, _TOP + _ROW * len(names)), _TOP, rows=names)
    series = []
    for index, (split, proportions) in enumerate(recalls.items()):
        heights = [y(row + 0.14 * (2 * index - len(recalls) + 1)) for row in range(len(names))]
        points = [(x(recall.value), height) for recall, height in zip(proportions, heights, strict=True)]
        ends = [(x(recall.interval.low), x(recall.interval.high)) for recall in proportions]
        whiskers = [((low, height), (high, height)) for (low, high), height in zip(ends, heights, strict=True)]
        series.append(Series(split, points, whiskers))
    description = "Proportion of each class's photos that were recognized; the lines are 95% confidence intervals."
    return Chart("chart-recall", "Recall per class", description, x, y, series)


def _reliability_diagram(evaluations: Mapping[str, Evaluation]) -> Chart:
    """Draws accuracy over confidence, with the diagonal of perfect calibration."""
    x = Axis(0, 1, _LEFT, _WIDTH - _RIGHT - 6, "confidence", is_percent=True)
    y = Axis(0, 1, _HEIGHT - _BOTTOM, _TOP, "accuracy", is_percent=True)
    series = []
    for split, evaluation in evaluations.items():
        bins = [(x(entry.confidence), entry.accuracy) for entry in evaluation.bins]
        points = [(left, y(accuracy.value)) for left, accuracy in bins]
        whiskers = [((left, y(found.interval.low)), (left, y(found.interval.high))) for left, found in bins]
        series.append(Series(split, points, whiskers))
    errors = ", ".join(f"{evaluation.calibration_error:.3f} on {split}" for split, evaluation in evaluations.items())
    description = f"Accuracy of predictions grouped by confidence. Expected calibration error: {errors}."
    guide = ((x(0), y(0)), (x(1), y(1)))
    return Chart("chart-reliability", "Reliability diagram", description, x, y, series, guide, "perfectly calibrated")


def _range(values: Iterable[float]) -> tuple[float, float]:
    """Returns round limits around the finite values."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if low == high:
        low, high = low - 0.5, high + 0.5
    step = _step(low, high)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _step(low: float, high: float) -> float:
    """Returns the distance of ticks: 1, 2 or 5 times a power of ten."""
    power = float(10 ** math.floor(math.log10((high - low) / _TICKS)))
    return power * next(factor for factor in (1, 2, 5, 10) if power * factor * _TICKS >= high - low)
