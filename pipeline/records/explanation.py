"""Why a model was or was not blessed, and whether the photos were enough to tell."""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath

from components.contracts import TEST_SPLIT, nodes
from components.contracts.evaluation import ACCURACY, CHANGE_THRESHOLD, LOWER, EvaluationMetrics, ModelMetrics
from components.contracts.serving_folder import BASELINE_VERSION_PROPERTY
from pipeline.records.intervals import Interval, independent_difference, paired_difference, wilson
from pipeline.records.metadata import ExecutionRecord
from pipeline.records.store import Run


@dataclasses.dataclass(frozen=True)
class ExplainedThreshold:
    """A `ThresholdResult` with the gap to its bound and a confidence interval."""

    metric: str
    kind: str
    direction: str
    bound: float
    measured: float | None  # the metric, or its difference from the baseline's
    value: float | None
    baseline: float | None
    gap: float | None  # `measured - bound`: negative if a lower bound was missed, positive if an upper bound was
    passed: bool
    interval: Interval | None  # of `measured`, for accuracy only
    within_noise: bool | None  # whether the interval contains the bound: other photos could change the outcome

    @property
    def miss(self) -> str:
        """How the model missed the threshold, as a sentence without its full stop."""
        if self.value is None or self.measured is None:
            return f"test {self.metric} was not measured: no test photo counts towards it"
        if self.baseline is None:
            side = "below the required" if self.direction == LOWER else "above the allowed"
            return f"test {self.metric} is {self.value:.4f}, {side} {self.bound:.4f}"
        side = "below" if self.measured < 0 else "above"
        # A bound of 0 allows no change for the worse.
        falls = self.bound < 0 or (self.bound == 0 and self.direction == LOWER)
        demand = "allowed" if falls == (self.direction == LOWER) else "required"
        return (
            f"test {self.metric} is {self.value:.4f}, {abs(self.measured):.4f} {side} the latest blessed model's "
            f"{self.baseline:.4f}; the {demand} {'drop' if falls else 'rise'} is {abs(self.bound):.4f}"
        )


@dataclasses.dataclass(frozen=True)
class Explanation:
    """A run's blessing and its reasons."""

    run_id: str
    state: str
    blessed: bool | None  # None if the run did not get that far
    examples: int | None  # number of test photos
    baseline_run: str | None  # the run that first evaluated the baseline
    ignored_baseline_classes: Sequence[str] | None  # of a model that cannot be the baseline: its classes are others
    thresholds: list[ExplainedThreshold]
    failed_nodes: list[str]

    @property
    def misses(self) -> list[str]:
        """One sentence per missed threshold."""
        return [threshold.miss for threshold in self.thresholds if not threshold.passed]

    @property
    def baseline_remark(self) -> str:
        """Why the latest blessed model is not the baseline, as a sentence; empty if it is."""
        if self.ignored_baseline_classes is None:
            return ""
        classes = ", ".join(self.ignored_baseline_classes) or "not known"
        return f"The latest blessed model cannot be the baseline: its classes are {classes}."


def explain(run: Run) -> Explanation:
    """Explains a run's blessing; the explanation of one that was not evaluated has no thresholds."""
    test = run.metrics(TEST_SPLIT)
    evaluator = run.executions.get(nodes.EVALUATOR_TEST)
    ignored = test.ignored_baseline_classes if test else None
    baseline_run = _baseline_run(run, evaluator) if evaluator and ignored is None else None
    return Explanation(
        run_id=run.run_id,
        state=run.state,
        blessed=run.blessed,
        examples=test.examples if test else None,
        baseline_run=baseline_run.run_id if baseline_run else None,
        ignored_baseline_classes=ignored,
        thresholds=_thresholds(run, test, baseline_run) if test else [],
        failed_nodes=run.failed_nodes,
    )


def _thresholds(run: Run, test: EvaluationMetrics, baseline_run: Run | None) -> list[ExplainedThreshold]:
    thresholds = []
    for result in test.thresholds:
        interval = None
        if result.metric == ACCURACY:
            interval = wilson(test.correct, test.examples)
            if result.kind == CHANGE_THRESHOLD and test.baseline:
                interval = accuracy_change(run, baseline_run, (test, test.baseline))
        thresholds.append(
            ExplainedThreshold(
                **dataclasses.asdict(result),
                measured=result.measured,
                gap=None if result.measured is None else result.measured - result.bound,
                interval=interval,
                within_noise=interval.holds(result.bound) if interval else None,
            )
        )
    return thresholds


def accuracy_change(first: Run, second: Run | None, totals: tuple[ModelMetrics, ModelMetrics]) -> Interval:
    """Returns the interval of the difference between two models' test accuracies, `first` minus `second`.

    It is a paired interval if both runs have predictions for the same photos; the labels are those of the first run.
    Otherwise it is one for independent photos. `totals` are both models' metrics on the test split.
    """
    own = {prediction.photo: prediction for prediction in first.predictions(TEST_SPLIT)}
    others = {prediction.photo: prediction for prediction in second.predictions(TEST_SPLIT)} if second else {}
    if second and own and own.keys() == others.keys():
        names, other_names = first.class_names, second.class_names
        pairs = [
            (mine.correct, names[mine.label] == other_names[others[photo].predicted]) for photo, mine in own.items()
        ]
        return paired_difference(pairs.count((True, False)), pairs.count((False, True)), len(pairs))
    return independent_difference((totals[0].correct, totals[1].correct), (totals[0].examples, totals[1].examples))


def _baseline_run(run: Run, evaluator: ExecutionRecord) -> Run | None:
    """Returns the first run that evaluated the baseline as its own model, or pushed it; None without a baseline."""
    baseline = evaluator.inputs.get(nodes.BASELINE_INPUT, [])
    ids = {artifact.id for artifact in baseline}
    # A baseline read from the serving folder is not the artifact that its training wrote.
    versions = {artifact.properties.get(BASELINE_VERSION_PROPERTY) for artifact in baseline}
    for earlier in run.store.runs if baseline else ():
        execution = earlier.executions.get(nodes.EVALUATOR_TEST)
        if execution and ids == {artifact.id for artifact in execution.inputs.get(nodes.MODEL_INPUT, [])}:
            return earlier
        is_same_pipeline = earlier.pipeline_name == run.pipeline_name
        if is_same_pipeline and earlier.pushed_path and PurePath(earlier.pushed_path).name in versions:
            return earlier
    return None
