"""One run, whatever it came to: what ML Metadata and the files of its artifacts tell of it."""

import functools
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from components import contracts
from components.common.records import from_json
from components.contracts import evaluation, label_review, nodes, training
from components.contracts.drift import DRIFT_FILE, DriftReport
from components.contracts.label_review import DoubtfulLabel, LabelReviewSummary
from components.contracts.nodes import Output
from components.contracts.tflite import TFLITE_METRICS_FILE, TFLiteMetrics
from pipeline.records.records import ArtifactRecord, ExecutionRecord

if TYPE_CHECKING:
    from pipeline.records.store import RunStore

_UNFINISHED_STATES = ("RUNNING", "NEW")
_MODEL_RUN_TYPE = "ModelRun"
_T = TypeVar("_T")


class Run:
    """One run; what it did not come to is None, or empty."""

    def __init__(self, store: "RunStore", run_id: str):
        """Names a run; it is read when it is asked.

        Args:
            store: The runs around it.
            run_id: Its name in ML Metadata.
        """
        self.store = store
        self.run_id = run_id

    @functools.cached_property
    def executions(self) -> Mapping[str, ExecutionRecord]:
        """By node id, in the order in which they ran."""
        return self.store.executions(self.run_id)

    @property
    def pipeline_name(self) -> str:
        """The pipeline that it is a run of."""
        return self.store.pipeline_names[self.run_id]

    # Artifacts and their files

    def artifact(self, output: Output) -> ArtifactRecord | None:
        """Returns the only artifact of an output."""
        execution = self.executions.get(output.node_id)
        return execution.output(output.key) if execution else None

    def artifacts(self) -> Iterator[ArtifactRecord]:
        """Yields every output artifact."""
        for execution in self.executions.values():
            for artifacts in execution.outputs.values():
                yield from artifacts

    def folder(self, output: Output) -> Path | None:
        """Returns where an output's files are; None when there are none on this machine."""
        artifact = self.artifact(output)
        return artifact.path if artifact and artifact.path.is_dir() else None

    def json(self, output: Output, name: str, cls: type[_T]) -> _T | None:
        """Returns a JSON file of an output as a record; None when there is no such file."""
        artifact = self.artifact(output)
        path = artifact.path / name if artifact else None
        return from_json(cls, json.loads(path.read_text(encoding="utf-8"))) if path and path.is_file() else None

    def json_lines(self, output: Output, name: str, cls: type[_T]) -> list[_T]:
        """Returns the lines of a JSON Lines file as records."""
        artifact = self.artifact(output)
        path = artifact.path / name if artifact else None
        if path is None or not path.is_file():
            return []
        # Not splitlines(): ids may hold other line separators of Unicode.
        return [from_json(cls, json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n") if line]

    # How far it came

    @property
    def state(self) -> str:
        """`complete`, `failed`, `running` or `interrupted`."""
        states = {execution.state for execution in self.executions.values()}
        if "FAILED" in states:
            return "failed"
        if nodes.PUSHER in self.executions and not states.intersection(_UNFINISHED_STATES):
            return "complete"
        is_latest = self.run_id == next(reversed(self.store.pipeline_names))
        return "running" if is_latest and self.store.is_locked() else "interrupted"

    @property
    def failed_nodes(self) -> list[str]:
        """The nodes that failed."""
        return [node_id for node_id, execution in self.executions.items() if execution.state == "FAILED"]

    @property
    def cached_nodes(self) -> list[str]:
        """Nodes answered from TFX's cache."""
        return [node_id for node_id, execution in self.executions.items() if execution.cached]

    @property
    def started_ms(self) -> int:
        """When its first component began, in milliseconds since 1970; 0 before it."""
        return min((execution.started_ms for execution in self.executions.values()), default=0)

    @property
    def ended_ms(self) -> int:
        """When its last component ended, or now while it runs, in milliseconds since 1970."""
        if self.state == "running":
            return int(time.time() * 1000)
        return max((execution.updated_ms for execution in self.executions.values()), default=0)

    # Data and backbone

    @property
    def examples(self) -> ArtifactRecord | None:
        """The examples that training used; before ImageValidator ended, those it was given."""
        return self.artifact(nodes.VALID_EXAMPLES) or self.artifact(nodes.EXAMPLES)

    @property
    def class_names(self) -> list[str]:
        """The classes in label order."""
        names: list[str] = json.loads(self.examples_property(contracts.CLASS_NAMES_PROPERTY) or "[]")
        return names

    @property
    def class_counts(self) -> dict[str, dict[str, int]]:
        """Photos per split and class name, unusable ones left out."""
        counts: dict[str, dict[str, int]] = json.loads(self.examples_property(contracts.CLASS_COUNTS_PROPERTY) or "{}")
        return counts

    @property
    def splits(self) -> list[str]:
        """The splits that have photos, the usual ones first."""
        known = [split for split in contracts.SPLITS if split in self.class_counts]
        return known + sorted(set(self.class_counts) - set(known))

    @property
    def dataset(self) -> str | None:
        """Name of the dataset; before it was read, the dataset or photos asked for."""
        return self.examples_property(contracts.DATASET_NAME_PROPERTY) or next(
            (
                str(execution.properties["dataset"] or execution.properties["photos"])
                for execution in self.executions.values()
                if {"dataset", "photos"} <= execution.properties.keys()
            ),
            None,
        )

    def examples_property(self, name: str) -> str:
        """Returns a property of the examples as text; empty when they lack it."""
        return str(self.examples.properties.get(name, "")) if self.examples else ""

    @property
    def backbone(self) -> str | None:
        """The feature extractor, as the user named it."""
        named = (execution.properties.get("backbone") for execution in self.executions.values())
        return next((str(backbone) for backbone in named if backbone), None)

    # Training

    @property
    def model_runs(self) -> dict[str, ArtifactRecord]:
        """What trainings logged, by node id."""
        return {
            node_id: artifact
            for node_id, execution in self.executions.items()
            for artifacts in execution.outputs.values()
            for artifact in artifacts
            if artifact.type == _MODEL_RUN_TYPE
        }

    def history(self, node_id: str) -> list[training.EpochResult]:
        """Returns the epochs of a training."""
        output = Output(node_id, nodes.MODEL_RUN_KEY)
        return self.json(output, training.CURVE_FILE, list[training.EpochResult]) or []

    @property
    def tuning(self) -> training.TuningResult | None:
        """What the search found."""
        best = self.artifact(nodes.BEST_HYPERPARAMETERS)
        if best is None:
            return None
        return training.TuningResult(
            values=json.loads(str(best.properties[training.TUNED_VALUES_PROPERTY])),
            validation_accuracy=float(best.properties[training.VALIDATION_ACCURACY_PROPERTY]),
            trials=int(best.properties[training.TRIALS_PROPERTY]),
        )

    @property
    def fine_tuning(self) -> training.FineTuningOutcome | None:
        """What fine-tuning led to."""
        return self.json(nodes.FINE_TUNING_RUN, training.FINE_TUNING_FILE, training.FineTuningOutcome)

    # Labels and drift

    @property
    def drift(self) -> DriftReport | None:
        """How the photos differ from the latest blessed model's."""
        return self.json(nodes.DRIFT, DRIFT_FILE, DriftReport)

    @property
    def label_review(self) -> LabelReviewSummary | None:
        """How many labels are doubtful."""
        return self.json(nodes.LABEL_REVIEW, label_review.SUMMARY_FILE, LabelReviewSummary)

    @property
    def doubtful_labels(self) -> list[DoubtfulLabel]:
        """Photos whose label is doubtful, the most doubtful first."""
        return self.json_lines(nodes.LABEL_REVIEW, label_review.LISTING_FILE, DoubtfulLabel)

    # Evaluation and push

    def accuracy(self, split: str) -> float | None:
        """Returns the accuracy on a split, in [0, 1], as ML Metadata has it."""
        artifact = self.artifact(nodes.EVALUATIONS[split])
        accuracy = artifact.properties.get(evaluation.ACCURACY) if artifact else None
        return None if accuracy is None else float(accuracy)

    def metrics(self, split: str) -> evaluation.EvaluationMetrics | None:
        """Returns what the Evaluator of a split measured."""
        return self.json(nodes.EVALUATIONS[split], evaluation.METRICS_FILE, evaluation.EvaluationMetrics)

    def predictions(self, split: str) -> list[evaluation.ExamplePrediction]:
        """Returns what the model made of every example of a split."""
        return self.json_lines(nodes.EVALUATIONS[split], evaluation.PREDICTIONS_FILE, evaluation.ExamplePrediction)

    @property
    def tflite(self) -> TFLiteMetrics | None:
        """What the TFLite export measured; None as well when the model was not blessed, and so not converted."""
        return self.json(nodes.TFLITE_MODEL, TFLITE_METRICS_FILE, TFLiteMetrics)

    @property
    def blessed(self) -> bool | None:
        """Whether the test split's thresholds were met."""
        blessing = self.artifact(nodes.BLESSING)
        return None if blessing is None else blessing.properties.get(nodes.BLESSED_PROPERTY) == 1

    @property
    def pushed_path(self) -> str | None:
        """The pushed version's folder, where it is now; one in a bucket by its URI."""
        pushed = self.artifact(nodes.PUSHED_MODEL)
        if pushed is None or not pushed.properties.get(nodes.PUSHED_PROPERTY):
            return None
        destination = str(pushed.properties[nodes.PUSHED_DESTINATION_PROPERTY])
        return destination if "://" in destination else str(self.store.locate(destination))
