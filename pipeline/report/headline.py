"""What a run came to, in a sentence and a few figures."""

import dataclasses
from collections.abc import Sequence

from pipeline.history import runs
from pipeline.history.explanation import Check, explain
from pipeline.history.run_files import RunRecords, failure_message
from pipeline.history.store import RunStore
from pipeline.report.text import percent


@dataclasses.dataclass(frozen=True)
class Headline:
    """The top of the page.

    Attributes:
        state: "blessed", "not-blessed", "failed", "running" or "interrupted".
        verdict: The state in words.
        title: The most important sentence about the run.
        reasons: Why the model was not blessed, or the run did not end.
        remarks: What is said in addition: bounds that noise may have decided.
        pushed_to: Where the model was pushed; empty when it was not.
        checks: Every bound of the blessing, met or missed.
    """

    state: str
    verdict: str
    title: str
    reasons: list[str]
    remarks: list[str]
    pushed_to: str = ""
    checks: Sequence[Check] = ()


def make_headline(store: RunStore, records: RunRecords) -> Headline:
    """Judges a run.

    Args:
        store: The runs; a baseline's predictions are those of an earlier one.
        records: The run.
    """
    run = runs.describe_run(store, records.run_id)
    if run.state == "failed":
        failed = [records.executions[node_id] for node_id in run.failed_nodes]
        reasons = [failure_message(execution) or "The run's log has the error." for execution in failed]
        return Headline("failed", "Failed", f"The run failed at {run.failed_nodes[0]}", reasons, [])
    if run.state != "complete" or run.test_accuracy is None or run.blessed is None:
        state = "running" if run.state == "running" else "interrupted"
        title = f"The run has come as far as {list(records.executions)[-1]}"
        return Headline(state, state.capitalize(), title, [], [])
    title = f"{percent(run.test_accuracy)} of the test photos classified correctly"
    checks = explain(store, records.run_id).checks
    reasons = [_reason(check) for check in checks if not check.passed]
    remarks = [_remark(check) for check in checks if check.within_noise]
    if not run.blessed:
        return Headline("not-blessed", "Not blessed, not pushed", title, reasons, remarks, "", checks)
    verdict = "Blessed and pushed" if run.pushed_path else "Blessed"
    return Headline("blessed", verdict, title, [], remarks, run.pushed_path or "", checks)


def _reason(check: Check) -> str:
    if check.value is None or check.measured is None:
        return f"Test {check.metric} was not measured."
    if check.kind == "value" or check.baseline is None:
        return f"Test {check.metric} is {check.value:.4f}; at least {check.bound:.4f} is required."
    return (
        f"Test {check.metric} is {check.value:.4f}, {-check.measured:.4f} below the latest blessed model's "
        f"{check.baseline:.4f}; a drop of at most {-check.bound:.4f} is allowed."
    )


def _remark(check: Check) -> str:
    what = f"test {check.metric}" if check.kind == "value" else f"the change of test {check.metric}"
    outcome = "met" if check.passed else "missed"
    return (
        f"The bound on {what} was {outcome} within noise: it lies inside the 95% interval, so that other test photos "
        "could have decided otherwise."
    )
