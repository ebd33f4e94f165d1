"""What a run came to, in a sentence and a few figures."""

import dataclasses
from collections.abc import Sequence

from components.contracts import TEST_SPLIT
from pipeline.records.explanation import Check, explain
from pipeline.records.run import Run
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


def make_headline(run: Run) -> Headline:
    """Judges a run."""
    if run.state == "failed":
        reasons = [run.executions[node_id].failure or "The run's log has the error." for node_id in run.failed_nodes]
        return Headline("failed", "Failed", f"The run failed at {run.failed_nodes[0]}", reasons, [])
    accuracy = run.accuracy(TEST_SPLIT)
    if run.state != "complete" or accuracy is None or run.blessed is None:
        state = "running" if run.state == "running" else "interrupted"
        title = f"The run has come as far as {list(run.executions)[-1]}"
        return Headline(state, state.capitalize(), title, [], [])
    title = f"{percent(accuracy)} of the test photos classified correctly"
    explanation = explain(run)
    checks = explanation.checks
    remarks = [_remark(check) for check in checks if check.within_noise]
    if not run.blessed:
        reasons = [f"{miss[0].upper()}{miss[1:]}." for miss in explanation.misses]
        return Headline("not-blessed", "Not blessed, not pushed", title, reasons, remarks, "", checks)
    verdict = "Blessed and pushed" if run.pushed_path else "Blessed"
    return Headline("blessed", verdict, title, [], remarks, run.pushed_path or "", checks)


def _remark(check: Check) -> str:
    what = f"test {check.metric}" if check.kind == "value" else f"the change of test {check.metric}"
    outcome = "met" if check.passed else "missed"
    return (
        f"The bound on {what} was {outcome} within noise: it lies inside the 95% interval, so that other test photos "
        "could have decided otherwise."
    )
