"""What a run led to, read from ML Metadata and the evaluation artifacts."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from components.common import contracts
from components.common.contracts import training
from components.common.contracts.nodes import FINE_TUNING
from pipeline.history.records import ArtifactRecord, ExecutionRecord, MetadataQueries

_METRICS_FILE = "metrics.json"
TUNER_ID = "Tuner"
TFLITE_EXPORTER_ID = "TFLiteExporter"


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """A finished run.

    Attributes:
        run_id: The run's name in ML Metadata.
        class_names: The classes in label order.
        class_counts: Photos per split and class, unusable ones left out.
        validation: Content of `metrics.json` for the validation split (see `components.evaluator.metrics`).
        test: The same for the test split, with the baseline's metrics and the bounds missed.
        blessed: Whether the test split's thresholds were met.
        pushed_path: The pushed version's folder; None when the model was not pushed.
        tuning: What a search found: `values`, `validation_accuracy` and `trials`; None without one.
        fine_tuning: `accuracy_before` and `accuracy_after` on validation, and whether it was `kept`; None without it.
        tflite: `metrics.json` of the TFLite export (see `components.tflite_exporter.artifacts`) and its folder, `path`;
            None without one.
    """

    run_id: str
    class_names: list[str]
    class_counts: dict[str, dict[str, int]]
    validation: dict[str, Any]
    test: dict[str, Any]
    blessed: bool
    pushed_path: str | None
    tuning: dict[str, Any] | None = None
    fine_tuning: dict[str, Any] | None = None
    tflite: dict[str, Any] | None = None

    def not_blessed_reasons(self) -> list[str]:
        """Returns one sentence per bound missed: which metric, which bound, what was measured."""
        return [self._reason(failure) for failure in self.test["threshold_failures"]]

    def _reason(self, failure: dict[str, Any]) -> str:
        metric, bound, measured = failure["metric"], failure["bound"], failure["measured"]
        if failure["kind"] == "value":
            return f"test {metric} is {measured:.4f}, below the required {bound:.4f}"
        baseline = self.test["baseline"][metric]
        return (
            f"test {metric} is {self.test[metric]:.4f}, {-measured:.4f} below the latest blessed model's "
            f"{baseline:.4f}; the allowed drop is {-bound:.4f}"
        )


def summarize_run(queries: MetadataQueries, run_id: str) -> RunSummary:
    """Reads a finished run.

    Args:
        queries: The metadata store.
        run_id: The run's name in ML Metadata.

    Returns:
        The summary.
    """
    executions = queries.run_executions(run_id)
    examples = _output(executions, "ImageValidator", "valid_examples")
    blessing = _output(executions, "Evaluator.test", "blessing")
    pushed = _output(executions, "Pusher", "pushed_model")
    return RunSummary(
        run_id=run_id,
        class_names=json.loads(str(examples.properties[contracts.CLASS_NAMES_PROPERTY])),
        class_counts=json.loads(str(examples.properties[contracts.CLASS_COUNTS_PROPERTY])),
        validation=_metrics(_output(executions, "Evaluator.validation", "evaluation")),
        test=_metrics(_output(executions, "Evaluator.test", "evaluation")),
        blessed=blessing.properties.get("blessed") == 1,
        pushed_path=str(pushed.properties["pushed_destination"]) if pushed.properties.get("pushed") else None,
        tuning=_tuning(executions),
        fine_tuning=_fine_tuning(executions),
        tflite=tflite_export(executions),
    )


def _tuning(executions: dict[str, ExecutionRecord]) -> dict[str, Any] | None:
    if TUNER_ID not in executions:
        return None
    properties = _output(executions, TUNER_ID, "best_hyperparameters").properties
    return {
        "values": json.loads(str(properties[training.TUNED_VALUES_PROPERTY])),
        "validation_accuracy": properties[training.VALIDATION_ACCURACY_PROPERTY],
        "trials": properties[training.TRIALS_PROPERTY],
    }


def _fine_tuning(executions: dict[str, ExecutionRecord]) -> dict[str, Any] | None:
    if FINE_TUNING not in executions:
        return None
    run = Path(_output(executions, FINE_TUNING, "model_run").uri)
    outcome: dict[str, Any] = json.loads((run / training.FINE_TUNING_FILE).read_text())
    return outcome


def tflite_export(executions: dict[str, ExecutionRecord]) -> dict[str, Any] | None:
    """Reads what the TFLite export measured.

    Args:
        executions: A run's executions by node id.

    Returns:
        See `RunSummary.tflite`; None as well when the model was not blessed, and so not converted.
    """
    if TFLITE_EXPORTER_ID not in executions:
        return None
    exported = _output(executions, TFLITE_EXPORTER_ID, "tflite_model")
    if not exported.properties["exported"]:
        return None
    metrics: dict[str, Any] = json.loads((Path(exported.uri) / _METRICS_FILE).read_text())
    return {"path": exported.uri, **metrics}


def _output(executions: dict[str, ExecutionRecord], node_id: str, key: str) -> ArtifactRecord:
    artifact = executions[node_id].output(key)
    if artifact is None:
        raise LookupError(f"{node_id} of this run has no output {key!r} in ML Metadata")
    return artifact


def _metrics(evaluation: ArtifactRecord) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((Path(evaluation.uri) / _METRICS_FILE).read_text())
    return metrics
