"""Two runs side by side."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from components.common.errors import UsageError
from components.contracts import TEST_SPLIT, VALIDATION_SPLIT
from components.contracts.evaluation import ACCURACY, LOSS, ModelMetrics
from pipeline.records.explanation import accuracy_change, explain
from pipeline.records.intervals import Interval
from pipeline.records.store import Run

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class ChangedPrediction:
    """A test photo that two models classify differently."""

    id: str
    true: str
    first: str
    second: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two runs side by side; every pair is (first, second), with None where a run has no value."""

    runs: tuple[str, str]
    parameters: dict[str, tuple[Any, Any]]  # those that differ
    metrics: dict[str, dict[str, tuple[float | None, float | None]]]  # by split and name, such as `daisy recall`
    accuracy_change: Interval | None  # of second minus first test accuracy; None unless both were evaluated
    common_photos: int  # test photos that both models classified
    changed_predictions: list[ChangedPrediction]


def reference_run(run: Run) -> Run:
    """Returns the run of a run's baseline, or else the one of its pipeline before it; raises UsageError without one."""
    store = run.store
    names = store.pipeline_names
    before = list(names)[: list(names).index(run.run_id)]
    same = [run_id for run_id in before if names[run_id] == run.pipeline_name]
    found = explain(run).baseline_run or next(reversed(same), None)
    if found is None:
        raise UsageError(f"run {run.run_id} is the first of pipeline {run.pipeline_name}: give two runs to compare")
    return store.run(found)


def compare(first: Run, second: Run) -> Comparison:
    """Compares two runs."""
    parameters = (first.parameters, second.parameters)
    metrics = {split: (first.metrics(split), second.metrics(split)) for split in (VALIDATION_SPLIT, TEST_SPLIT)}
    tests = metrics[TEST_SPLIT]
    common, changed = _changed_predictions(first, second)
    return Comparison(
        runs=(first.run_id, second.run_id),
        parameters={name: pair for name, pair in sorted(_paired(*parameters).items()) if pair[0] != pair[1]},
        metrics={split: _paired(_named_metrics(pair[0]), _named_metrics(pair[1])) for split, pair in metrics.items()},
        accuracy_change=accuracy_change(second, first, (tests[1], tests[0])) if tests[0] and tests[1] else None,
        common_photos=common,
        changed_predictions=changed,
    )


def _paired(first: Mapping[str, _T], second: Mapping[str, _T]) -> dict[str, tuple[_T | None, _T | None]]:
    return {name: (first.get(name), second.get(name)) for name in dict.fromkeys([*first, *second])}


def _named_metrics(metrics: ModelMetrics | None) -> dict[str, float]:
    if metrics is None:
        return {}
    named = {ACCURACY: metrics.accuracy, LOSS: metrics.loss}
    for entry in metrics.classes:
        values = {"precision": entry.precision, "recall": entry.recall, "f1_score": entry.f1_score}
        named |= {f"{entry.name} {metric}": value for metric, value in values.items() if value is not None}
    return named


def _changed_predictions(first: Run, second: Run) -> tuple[int, list[ChangedPrediction]]:
    """Returns how many photos both runs classified, and those that they classify differently.

    Classes are compared by name: the two runs may have different ones.
    """
    named, others = (
        {
            prediction.photo: (run.class_names[prediction.label], run.class_names[prediction.predicted])
            for prediction in run.predictions(TEST_SPLIT)
        }
        for run in (first, second)
    )
    common = sorted(named.keys() & others.keys())
    changed = [
        ChangedPrediction(photo[0], *named[photo], others[photo][1])
        for photo in common
        if named[photo][1] != others[photo][1]
    ]
    return len(common), changed
