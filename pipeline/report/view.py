"""A run as its report shows it: what several sections need is read or computed once."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from components.contracts import TEST_SPLIT, nodes
from components.contracts.label_review import DoubtfulLabel
from components.contracts.quarantine import QuarantineEntry
from pipeline.records.explanation import ExplainedThreshold, Explanation, explain
from pipeline.records.store import Run
from pipeline.report.filters import percent
from pipeline.report.photos import Album, make_album
from pipeline.report.scores import Evaluation

_MAX_SAMPLES = 150  # thumbnails of about 5 kB
_MAX_SAMPLES_PER_CLASS = 6
_MAX_SAMPLE_CLASSES = 50
_MAX_DOUBTFUL = 48
_MAX_DUPLICATES = 12


@dataclasses.dataclass(frozen=True)
class Headline:
    """The top of the page."""

    state: str  # "blessed", "not-blessed", "failed", "running" or "interrupted"
    verdict: str  # the state in words
    title: str
    reasons: Sequence[str] = ()  # why the model was not blessed, or the run failed
    remarks: Sequence[str] = ()  # on thresholds that noise may have decided


class RunView:
    """The parts of a run that its report shows."""

    def __init__(self, run: Run):
        self.run = run

    @functools.cached_property
    def headline(self) -> Headline:
        """What the run achieved."""
        run = self.run
        if run.state == "failed":
            reasons = [run.executions[node].failure or "The run's log has the error." for node in run.failed_nodes]
            return Headline("failed", "Failed", f"The run failed at {run.failed_nodes[0]}", reasons)
        accuracy = run.accuracy(TEST_SPLIT)
        if run.state != "complete" or accuracy is None or run.blessed is None:
            state = "running" if run.state == "running" else "interrupted"
            return Headline(state, state.capitalize(), f"The run has reached {list(run.executions)[-1]}")
        title = f"{percent(accuracy)} of the test photos classified correctly"
        remarks = [_remark(threshold) for threshold in self.explanation.thresholds if threshold.within_noise]
        if not run.blessed:
            reasons = [f"{miss[0].upper()}{miss[1:]}." for miss in self.explanation.misses]
            return Headline("not-blessed", "Not blessed, not pushed", title, reasons, remarks)
        verdict = "Blessed and pushed" if run.pushed_path else "Blessed"
        return Headline("blessed", verdict, title, (), remarks)

    @functools.cached_property
    def explanation(self) -> Explanation:
        """Why the model was or was not blessed."""
        return explain(self.run)

    @functools.cached_property
    def evaluations(self) -> Mapping[str, Evaluation]:
        """By split."""
        metrics = {split: self.run.metrics(split) for split in nodes.EVALUATIONS}
        return {split: Evaluation(found, self.run.predictions(split)) for split, found in metrics.items() if found}

    @functools.cached_property
    def sample_classes(self) -> Sequence[str]:
        """The classes that samples are shown of, in label order."""
        return self.run.class_names[:_MAX_SAMPLE_CLASSES]

    @functools.cached_property
    def doubtful_labels(self) -> Sequence[DoubtfulLabel]:
        """The most doubtful labels, which are shown with their photos."""
        return self.run.doubtful_labels[:_MAX_DOUBTFUL]

    @functools.cached_property
    def duplicates(self) -> Sequence[QuarantineEntry]:
        """Photos that show the same picture as one in another split or class."""
        return [entry for entry in self.run.quarantine_entries if entry.duplicate_of]

    @property
    def shown_duplicates(self) -> Sequence[QuarantineEntry]:
        """The first of them, which are shown with their photos."""
        return self.duplicates[:_MAX_DUPLICATES]

    @functools.cached_property
    def album(self) -> Album:
        """Thumbnails of photos that the run used."""
        run, classes = self.run, self.sample_classes
        per_class = max(1, min(_MAX_SAMPLES_PER_CLASS, _MAX_SAMPLES // max(1, len(classes) * len(run.splits))))
        samples = {
            split: {label: min(per_class, counts.get(name, 0)) for label, name in enumerate(classes)}
            for split, counts in run.class_counts.items()
        }
        wanted = {(entry.split, entry.id) for entry in self.doubtful_labels}
        if summary := run.quarantine_summary:
            wanted |= {(split, photo_id) for odd in summary.odd_looking.values() for split, photo_id in odd.examples}
        for split, evaluation in self.evaluations.items():
            wanted |= {(split, mistake.id) for mistake in evaluation.mistakes}
        return make_album(run.folder(nodes.VALID_EXAMPLES) or run.folder(nodes.EXAMPLES), samples, wanted)

    @functools.cached_property
    def duplicates_album(self) -> Album:
        """Thumbnails of the duplicates: those that were left out are only in ImageValidator's input."""
        entries = [photo for entry in self.shown_duplicates for photo in (entry, entry.duplicate_of) if photo]
        return make_album(self.run.folder(nodes.EXAMPLES), {}, {(photo.split, photo.id) for photo in entries})

    @functools.cached_property
    def makers(self) -> Mapping[int, str]:
        """The node that wrote each artifact, by the artifact's id; those of earlier runs are missing."""
        executions = reversed(list(self.run.executions.values()))
        return {artifact.id: found.node_id for found in executions for _, artifact in found.artifacts(written=True)}


def _remark(threshold: ExplainedThreshold) -> str:
    what = f"test {threshold.metric}" if threshold.kind == "value" else f"the change of test {threshold.metric}"
    outcome = "met" if threshold.passed else "missed"
    return (
        f"The threshold on {what} was {outcome} within noise: it lies inside the 95% interval, so other test photos "
        "could have changed the outcome."
    )
