"""Training: the curves of every training of the run."""

import dataclasses
from collections.abc import Sequence

from markupsafe import Markup

from components.contracts.evaluation import ACCURACY, LOSS
from components.contracts.training import EpochResult, best_epoch
from pipeline.records.run import Run
from pipeline.report.drawing import charts


@dataclasses.dataclass(frozen=True)
class Training:
    """One Trainer's curves.

    Attributes:
        node_id: The component.
        history: One entry per epoch.
        best: The entry whose weights were kept.
        charts: Accuracy and loss.
    """

    node_id: str
    history: Sequence[EpochResult]
    best: EpochResult
    charts: Sequence[Markup]


def load(run: Run) -> list[Training]:
    """Draws the curves."""
    return [_training(node_id, history) for node_id in run.model_runs if (history := run.history(node_id))]


def _training(node_id: str, history: Sequence[EpochResult]) -> Training:
    best = history[best_epoch(history)]
    name = f"chart-{node_id.replace('.', '-')}"
    drawn = [charts.training_curve(name, history, metric, best.epoch) for metric in (ACCURACY, LOSS)]
    return Training(node_id, history, best, drawn)
