"""Two runs side by side."""

import dataclasses
from typing import Any

from components.common.contracts import TEST_SPLIT, VALIDATION_SPLIT
from pipeline.history import runs
from pipeline.history.explanation import accuracy_change
from pipeline.history.intervals import Interval
from pipeline.history.parameters import run_parameters
from pipeline.history.store import RunStore

_OVERALL_METRICS = ("accuracy", "loss")
_CLASS_METRICS = ("precision", "recall", "f1_score")


@dataclasses.dataclass(frozen=True)
class ChangedPrediction:
    """A test photo that two models put into different classes."""

    id: str
    true: str
    first: str
    second: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two runs side by side; every pair is (first, second), None where a run has no value.

    Attributes:
        runs: The runs' ids.
        parameters: Those that differ.
        metrics: By split, then by metric; a class's are named like `daisy recall`.
        accuracy_change: 95% interval of second minus first test accuracy; None unless both were evaluated.
        common_photos: Test photos that both models classified.
        changed_predictions: Those of them that got another class.
    """

    runs: tuple[str, str]
    parameters: dict[str, tuple[Any, Any]]
    metrics: dict[str, dict[str, tuple[float | None, float | None]]]
    accuracy_change: Interval | None
    common_photos: int
    changed_predictions: list[ChangedPrediction]


def compare(store: RunStore, first: str, second: str) -> Comparison:
    """Compares two runs.

    Args:
        store: The runs.
        first: A run's full id, usually the older.
        second: The other one's.

    Returns:
        The comparison.
    """
    both = (store.executions(first), store.executions(second))
    parameters = tuple(run_parameters(executions) for executions in both)
    differing = {
        name: (parameters[0].get(name), parameters[1].get(name))
        for name in sorted(parameters[0].keys() | parameters[1].keys())
        if parameters[0].get(name) != parameters[1].get(name)
    }
    by_split = {}
    for split in (VALIDATION_SPLIT, TEST_SPLIT):
        pair = tuple(_named_metrics(runs.metrics(store, executions, split)) for executions in both)
        names = dict.fromkeys([*pair[0], *pair[1]])
        by_split[split] = {name: (pair[0].get(name), pair[1].get(name)) for name in names}
    tests = tuple(runs.metrics(store, executions, TEST_SPLIT) for executions in both)
    change = accuracy_change(store, second, first, (tests[1], tests[0])) if tests[0] and tests[1] else None
    common, changed = _changed_predictions(store, first, second)
    return Comparison((first, second), differing, by_split, change, common, changed)


def _named_metrics(metrics: dict[str, Any] | None) -> dict[str, float]:
    if metrics is None:
        return {}
    named = {name: metrics[name] for name in _OVERALL_METRICS}
    for entry in metrics["classes"]:
        named |= {f"{entry['name']} {metric}": entry[metric] for metric in _CLASS_METRICS}
    return named


def _changed_predictions(store: RunStore, first: str, second: str) -> tuple[int, list[ChangedPrediction]]:
    """Returns how many photos both runs classified, and those that they classify differently.

    Classes are compared by name: the two runs may know different ones.
    """
    named = []
    for run_id in (first, second):
        executions = store.executions(run_id)
        metrics = runs.metrics(store, executions, TEST_SPLIT)
        names = [entry["name"] for entry in metrics["classes"]] if metrics else []
        predictions = runs.predictions(store, executions, TEST_SPLIT)
        named.append({key: (names[p["label"]], names[p["predicted"]]) for key, p in predictions.items()})
    common = sorted(named[0].keys() & named[1].keys())
    changed = [
        ChangedPrediction(key, named[0][key][0], named[0][key][1], named[1][key][1])
        for key in common
        if named[0][key][1] != named[1][key][1]
    ]
    return len(common), changed
