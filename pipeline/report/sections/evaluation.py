"""Evaluation: metrics per class, confusion matrices, calibration, and what decided on the blessing."""

import dataclasses
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from pipeline.records.explanation import ExplainedThreshold, explain
from pipeline.records.run import Run
from pipeline.report.drawing import charts
from pipeline.report.evaluations import Evaluation, load_evaluations

_MAX_CHART_CLASSES = 60
_HEAT_STEPS = 9


@dataclasses.dataclass(frozen=True)
class Results:
    """What was measured.

    Attributes:
        evaluations: By split.
        thresholds: Every threshold of the blessing.
        charts: By name; those without data are missing.
    """

    evaluations: Mapping[str, Evaluation]
    thresholds: Sequence[ExplainedThreshold]
    charts: Mapping[str, Markup]

    def heat(self, number: int, total: int) -> int:
        """Returns how dark a cell of a confusion matrix is, from 0 (none) to 9 (the whole row)."""
        return min(_HEAT_STEPS, 1 + int(number / total * (_HEAT_STEPS - 1))) if number and total else 0


def load(run: Run) -> Results:
    """Reads the evaluations and draws their charts."""
    evaluations = load_evaluations(run)
    return Results(evaluations, explain(run).thresholds, _charts(list(evaluations.values())))


def _charts(evaluations: Sequence[Evaluation]) -> dict[str, Markup]:
    drawn: dict[str, Markup] = {}
    if evaluations and len(evaluations[0].classes) <= _MAX_CHART_CLASSES:
        drawn["recall"] = charts.recall_chart(evaluations)
    calibrated = [evaluation for evaluation in evaluations if evaluation.bins]
    if calibrated:
        drawn["reliability"] = charts.reliability_diagram(calibrated)
    return drawn
