"""Why a model was or was not blessed, and whether the photos were enough to tell."""

import dataclasses
import json
from collections.abc import Container, Iterator, Mapping
from typing import Any

from components.common.contracts import TEST_SPLIT
from pipeline.history import runs
from pipeline.history.intervals import Interval, independent_difference, paired_difference, wilson
from pipeline.history.records import ExecutionRecord
from pipeline.history.store import RunStore

_ACCURACY = "accuracy"
BASELINE_INPUT = "baseline_model"


@dataclasses.dataclass(frozen=True)
class Check:
    """One bound, and how the model stands to it.

    Attributes:
        metric: Name of the metric.
        kind: `value` (an absolute bound) or `change` (a bound on the difference to the baseline).
        bound: The lower bound.
        measured: The metric, or its difference to the baseline's; None when it was not measured.
        value: The metric itself.
        baseline: The baseline's metric, for a change.
        gap: Measured minus bound: below 0 when it is missed.
        passed: Whether the bound was met.
        interval: Of what was measured; None for other metrics than accuracy.
        within_noise: Whether the interval holds the bound, so that other photos could have decided otherwise; None
            without an interval.
    """

    metric: str
    kind: str
    bound: float
    measured: float | None
    value: float | None
    baseline: float | None
    gap: float | None
    passed: bool
    interval: Interval | None
    within_noise: bool | None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A run's blessing and its reasons.

    Attributes:
        run_id: The run.
        state: As in `RunRecord`.
        blessed: Whether the thresholds were met; None when the run did not get that far.
        examples: Test photos.
        baseline_run: The run that first evaluated the baseline; None without a baseline.
        checks: Every bound.
        failed_nodes: What failed, for a run without a verdict.
    """

    run_id: str
    state: str
    blessed: bool | None
    examples: int | None
    baseline_run: str | None
    checks: list[Check]
    failed_nodes: list[str]


def explain(store: RunStore, run_id: str) -> Verdict:
    """Explains a run's blessing.

    Args:
        store: The runs.
        run_id: A run's full id.

    Returns:
        The verdict; of a run that was not evaluated, without checks.
    """
    record = runs.describe_run(store, run_id)
    executions = store.executions(run_id)
    test = runs.metrics(store, executions, TEST_SPLIT)
    evaluator = executions.get(runs.EVALUATOR_TEST)
    baseline_run = _baseline_run(store, evaluator) if evaluator else None
    checks: list[Check] = []
    if test and evaluator:
        missed = {(failure["metric"], failure["kind"]) for failure in test["threshold_failures"]}
        change = _change_interval(store, run_id, baseline_run, test)
        for metric, kind, bound in thresholds(evaluator):
            # TFX leaves the change threshold out when there is no baseline.
            if kind == "value" or test["baseline"]:
                checks.append(_check(metric, kind, bound, test=test, missed=missed, change=change))
    return Verdict(
        run_id=run_id,
        state=record.state,
        blessed=record.blessed,
        examples=test["examples"] if test else None,
        baseline_run=baseline_run,
        checks=checks,
        failed_nodes=record.failed_nodes,
    )


def thresholds(evaluator: ExecutionRecord) -> Iterator[tuple[str, str, float]]:
    """Yields metric, kind (`value` or `change`) and lower bound of every threshold in an Evaluator's configuration."""
    config = json.loads(str(evaluator.properties["eval_config"]))
    for metric in (metric for spec in config.get("metrics_specs", []) for metric in spec.get("metrics", [])):
        name = json.loads(f"{{{metric.get('config', '')}}}").get("name", metric["class_name"])
        per_slice = [entry["threshold"] for entry in metric.get("per_slice_thresholds", [])]
        for threshold in [*per_slice, *([metric["threshold"]] if "threshold" in metric else [])]:
            if "value_threshold" in threshold:
                yield name, "value", threshold["value_threshold"].get("lower_bound", 0.0)
            if "change_threshold" in threshold:
                yield name, "change", threshold["change_threshold"].get("absolute", 0.0)


def _check(
    metric: str,
    kind: str,
    bound: float,
    *,
    test: Mapping[str, Any],
    missed: Container[tuple[str, str]],
    change: Interval | None,
) -> Check:
    value = test.get(metric)
    baseline = test["baseline"].get(metric) if kind == "change" else None
    measured = value - baseline if value is not None and baseline is not None else value
    interval = None
    if metric == _ACCURACY:
        interval = change if kind == "change" else wilson(_correct(test), test["examples"])
    return Check(
        metric=metric,
        kind=kind,
        bound=bound,
        measured=measured,
        value=value,
        baseline=baseline,
        gap=None if measured is None else measured - bound,
        passed=(metric, kind) not in missed,
        interval=interval,
        within_noise=interval.holds(bound) if interval else None,
    )


def accuracy_change(
    store: RunStore, first_run: str, second_run: str, totals: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> Interval:
    """Interval of the difference between two runs' test accuracies.

    Args:
        store: The runs.
        first_run: The run whose accuracy is the minuend.
        second_run: The other one.
        totals: Both models' metrics of the test split.

    Returns:
        A paired interval if both runs' predictions are there for the same photos; otherwise one for independent photos.
    """
    first, second = (
        runs.predictions(store, store.executions(run_id), TEST_SPLIT) for run_id in (first_run, second_run)
    )
    if first and first.keys() == second.keys():
        right = [(_is_right(first[key]), _is_right(second[key])) for key in first]
        return paired_difference(right.count((True, False)), right.count((False, True)), len(right))
    counts = (totals[0]["examples"], totals[1]["examples"])
    return independent_difference((_correct(totals[0]), _correct(totals[1])), counts)


def _change_interval(
    store: RunStore, run_id: str, baseline_run: str | None, test: Mapping[str, Any]
) -> Interval | None:
    if not test["baseline"]:
        return None
    totals = (test, test["baseline"])
    if baseline_run:
        return accuracy_change(store, run_id, baseline_run, totals)
    return independent_difference((_correct(test), _correct(test["baseline"])), (test["examples"],) * 2)


def _baseline_run(store: RunStore, evaluator: ExecutionRecord) -> str | None:
    """Returns the first run that evaluated the baseline as its own model; None without a baseline."""
    baseline = {artifact.id for artifact in evaluator.inputs.get(BASELINE_INPUT, [])}
    for run_id in store.pipeline_names if baseline else ():
        earlier = store.executions(run_id).get(runs.EVALUATOR_TEST)
        if earlier and baseline == {artifact.id for artifact in earlier.inputs.get("model", [])}:
            return run_id
    return None


def _correct(metrics: Mapping[str, Any]) -> int:
    return round(metrics[_ACCURACY] * metrics["examples"])


def _is_right(prediction: Mapping[str, Any]) -> bool:
    return bool(prediction["predicted"] == prediction["label"])
