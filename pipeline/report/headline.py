"""What a run came to, in a sentence and a few figures."""

import dataclasses
from collections.abc import Sequence

from components.contracts import TEST_SPLIT
from pipeline.records.explanation import ExplainedThreshold, explain
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
        remarks: Thresholds that noise may have decided.
        pushed_to: Where the model was pushed; empty when it was not.
        thresholds: Every threshold of the blessing, met or missed.
    """

    state: str
    verdict: str
    title: str
    reasons: list[str]
    remarks: list[str]
    pushed_to: str = ""
    thresholds: Sequence[ExplainedThreshold] = ()


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
    thresholds = explanation.thresholds
    remarks = [_remark(threshold) for threshold in thresholds if threshold.within_noise]
    if not run.blessed:
        reasons = [f"{miss[0].upper()}{miss[1:]}." for miss in explanation.misses]
        return Headline("not-blessed", "Not blessed, not pushed", title, reasons, remarks, "", thresholds)
    verdict = "Blessed and pushed" if run.pushed_path else "Blessed"
    return Headline("blessed", verdict, title, [], remarks, run.pushed_path or "", thresholds)


def _remark(threshold: ExplainedThreshold) -> str:
    what = f"test {threshold.metric}" if threshold.kind == "value" else f"the change of test {threshold.metric}"
    outcome = "met" if threshold.passed else "missed"
    return (
        f"The threshold on {what} was {outcome} within noise: it lies inside the 95% interval, so other test photos "
        "could have changed the outcome."
    )
