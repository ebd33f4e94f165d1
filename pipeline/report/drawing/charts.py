"""The report's charts: training curves, recall per class, reliability.

Every chart has its numbers in a table beside it.
"""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from components.contracts.training import EpochResult
from pipeline.report.drawing.svg_figure import FIRST, INK, MUTED, PAPER, SECOND, draw
from pipeline.report.evaluations import Evaluation
from pipeline.report.text import shortened

_SIZE: Final = (4.5, 2.9)  # inches; narrow enough for its text to be readable on a phone
_SERIES: Final = ((FIRST, "o", "-"), (SECOND, "s", "--"))
_EVALUATION_HEIGHT: Final = 3.4
_MAX_LABEL: Final = 22


def training_curve(name: str, history: Sequence[EpochResult], metric: str, best_epoch: int) -> Markup:
    """Draws a metric over the epochs, for the training and the validation split.

    Args:
        name: Prefix of its ids, unique among the trainings of the page.
        history: Its epochs.
        metric: "accuracy" or "loss".
        best_epoch: The epoch whose weights were kept, counted from 1.
    """
    epochs = [entry.epoch for entry in history]
    names = {"training": metric, "validation": f"validation_{metric}"}

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        for (split, key), (color, marker, line) in zip(names.items(), _SERIES, strict=True):
            values = [getattr(entry, key) for entry in history]
            axes.plot(epochs, values, color=color, marker=marker, linestyle=line, label=split, mec=PAPER, mew=0.6)
        axes.axvline(best_epoch, color=MUTED, linewidth=0.9, linestyle=":", label=f"kept: epoch {best_epoch}")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if metric == "accuracy":
            _use_percent(axes.yaxis)
        axes.legend(loc="best", fontsize=8.5)

    last = history[-1]
    description = (
        f"{metric.capitalize()} after epoch {last.epoch}: {getattr(last, metric):.3f} in training, "
        f"{getattr(last, f'validation_{metric}'):.3f} in validation. The weights of epoch {best_epoch} were kept."
    )
    return draw(f"{name}-{metric}", f"{metric.capitalize()} per epoch", description, _SIZE, plot)


def recall_chart(evaluations: Sequence[Evaluation]) -> Markup:
    """Draws every class's recall with its 95% interval, one row per class.

    Args:
        evaluations: The evaluated splits, at most two.
    """
    names = [shortened(entry.name, _MAX_LABEL) for entry in evaluations[0].classes]

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (evaluation, (color, marker, _)) in enumerate(zip(evaluations, _SERIES, strict=False)):
            shares = [entry.recall for entry in evaluation.classes]
            rows = [row + 0.14 * (2 * index - len(evaluations) + 1) for row in range(len(shares))]
            values = [share.value for share in shares]
            whiskers = [
                [max(share.value - share.low, 0) for share in shares],
                [max(share.high - share.value, 0) for share in shares],
            ]
            axes.errorbar(
                values, rows, xerr=whiskers, fmt=marker, color=color, label=evaluation.split, elinewidth=1.4, capsize=2
            )
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", labelcolor=INK, length=0)
        axes.invert_yaxis()
        axes.set_xlim(right=1.005)
        _use_percent(axes.xaxis)
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside lower center", ncols=2, fontsize=8.5)

    size = (_SIZE[0], max(_EVALUATION_HEIGHT, 0.9 + 0.42 * len(names)))
    description = "Share of each class's photos that was recognized; the lines are 95% confidence intervals."
    return draw("chart-recall", "Recall per class", description, size, plot)


def reliability_diagram(evaluations: Sequence[Evaluation]) -> Markup:
    """Draws accuracy over confidence, with the diagonal of perfect calibration.

    Args:
        evaluations: The evaluated splits, at most two, with their calibration.
    """

    def plot(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=":", label="perfectly calibrated")
        for evaluation, (color, marker, _) in zip(evaluations, _SERIES, strict=False):
            shares = [entry.accuracy for entry in evaluation.bins]
            axes.errorbar(
                [entry.confidence for entry in evaluation.bins],
                [share.value for share in shares],
                yerr=[
                    [max(share.value - share.low, 0) for share in shares],
                    [max(share.high - share.value, 0) for share in shares],
                ],
                color=color, fmt=marker, elinewidth=1.1, capsize=2, label=evaluation.split,
            )  # fmt: skip
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
        for axis in (axes.xaxis, axes.yaxis):
            _use_percent(axis)
        axes.legend(loc="lower right", fontsize=8.5)

    errors = ", ".join(f"{entry.calibration_error:.3f} on {entry.split}" for entry in evaluations)
    description = f"Accuracy of predictions grouped by confidence. Expected calibration error: {errors}."
    return draw("chart-reliability", "Reliability diagram", description, (_SIZE[0], _EVALUATION_HEIGHT), plot)


def _use_percent(axis: Axis) -> None:
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
