"""Queries of ML Metadata without TFX or TensorFlow, so that commands answer at once."""

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

PropertyValue = str | int | float
_PIPELINE_CONTEXT_TYPE = "pipeline"
_RUN_CONTEXT_TYPE = "pipeline_run"
_NODE_CONTEXT_TYPE = "node"
_FAILURE_PROPERTY = "__execution_result__"
_INPUT_EVENTS = (pb.Event.INPUT, pb.Event.DECLARED_INPUT)
_EVAL_CONFIG = "eval_config"
# A result of TFX's driver, which executions from the cache lack.
_SPAN = "span"
# Custom properties of a run's context.
_STARTED, _ENDED = "started_ms", "ended_ms"


@dataclasses.dataclass(frozen=True)
class ArtifactRecord:
    """An artifact in ML Metadata; `properties` includes the custom ones.

    `uri` is where the files were when they were written, `path` where they are now.
    """

    id: int
    type: str
    uri: str
    path: Path
    properties: dict[str, PropertyValue]
    state: str = "LIVE"
    created_ms: int = 0


_ArtifactsByKey = dict[str, list[ArtifactRecord]]


@dataclasses.dataclass(frozen=True)
class ExecutionRecord:
    """One execution of a node within a run, with its artifacts by input or output key."""

    id: int
    node_id: str
    state: str
    started_ms: int
    updated_ms: int
    properties: dict[str, PropertyValue]
    inputs: _ArtifactsByKey
    outputs: _ArtifactsByKey
    type: str = ""

    @property
    def cached(self) -> bool:
        """Whether TFX took the outputs of an earlier execution."""
        return self.state == "CACHED"

    @property
    def duration_ms(self) -> int:
        """Milliseconds from the start to the last update."""
        return self.updated_ms - self.started_ms

    @property
    def failure(self) -> str:
        """The last line of the error that it failed with; empty when TFX recorded none."""
        try:
            text = str(json.loads(str(self.properties.get(_FAILURE_PROPERTY, "{}"))).get("resultMessage", ""))
        except ValueError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    @functools.cached_property
    def parameters(self) -> Mapping[str, Any]:
        """Parameters by flat names such as `custom_config.hyperparameters.epochs`, with JSON texts parsed.

        Thresholds are named `threshold.accuracy.value`.
        """
        return dict(_flat_parameters(self.properties))

    def output(self, key: str) -> ArtifactRecord | None:
        """Returns the first artifact of an output; None when there is none."""
        return next(iter(self.outputs.get(key, [])), None)

    def artifacts(self, written: bool) -> Iterator[tuple[str, ArtifactRecord]]:
        """Yields key and artifact of everything that it wrote, or that it read."""
        for key, artifacts in (self.outputs if written else self.inputs).items():
            yield from ((key, artifact) for artifact in artifacts)


def is_cached(store: mlmd.MetadataStore, execution_id: int) -> bool:
    """Tells whether TFX took an execution's outputs from its cache."""
    (execution,) = store.get_executions_by_id([execution_id])
    return bool(execution.last_known_state == pb.Execution.CACHED)


def pipeline_names(store: mlmd.MetadataStore) -> dict[str, str]:
    """Returns the pipeline of every run, by run id, oldest run first."""
    runs = [
        (run.create_time_since_epoch, run.id, run.name, pipeline.name)
        for pipeline in store.get_contexts_by_type(_PIPELINE_CONTEXT_TYPE)
        for run in store.get_children_contexts_by_context(pipeline.id)
    ]
    return {run_id: pipeline_name for _, _, run_id, pipeline_name in sorted(runs)}


def record_times(store: mlmd.MetadataStore, run_id: str, started: float) -> None:
    """Records when a run's process started, in seconds since 1970, and that it ends now."""
    if context := store.get_context_by_type_and_name(_RUN_CONTEXT_TYPE, run_id):
        for name, seconds in ((_STARTED, started), (_ENDED, time.time())):
            context.custom_properties[name].int_value = round(seconds * 1000)
        store.put_contexts([context])


def recorded_times(store: mlmd.MetadataStore, run_id: str) -> tuple[int, int]:
    """Returns start and end of a run in milliseconds since 1970; zeros before its end, and for Kubeflow's runs."""
    recorded = store.get_context_by_type_and_name(_RUN_CONTEXT_TYPE, run_id).custom_properties
    return recorded[_STARTED].int_value, recorded[_ENDED].int_value


def run_executions(
    store: mlmd.MetadataStore, run_id: str, locate: Callable[[str], Path] = Path
) -> dict[str, ExecutionRecord]:
    """Returns a run's executions by node id, in the order in which they ran.

    `locate` maps a recorded URI to where the files are now.
    """
    context = store.get_context_by_type_and_name(_RUN_CONTEXT_TYPE, run_id)
    if context is None:
        return {}
    executions = sorted(store.get_executions_by_context(context.id), key=lambda execution: execution.id)
    events = store.get_events_by_execution_ids([execution.id for execution in executions])
    artifact_ids = sorted({event.artifact_id for event in events})
    artifacts = {found.id: _artifact_record(found, locate) for found in store.get_artifacts_by_id(artifact_ids)}
    grouped: dict[int, tuple[_ArtifactsByKey, _ArtifactsByKey]] = {e.id: ({}, {}) for e in executions}
    for event in events:
        group = grouped[event.execution_id][0 if event.type in _INPUT_EVENTS else 1]
        group.setdefault(event.path.steps[0].key, []).append(artifacts[event.artifact_id])
    records = [_execution_record(store, execution, *grouped[execution.id]) for execution in executions]
    return {record.node_id: record for record in records}


def decoded(value: Any) -> Any:
    """Returns the content of a JSON text; any other value as it is."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return None if value == "null" else value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _execution_record(
    store: mlmd.MetadataStore, execution: pb.Execution, inputs: _ArtifactsByKey, outputs: _ArtifactsByKey
) -> ExecutionRecord:
    return ExecutionRecord(
        id=execution.id,
        node_id=_node_id(store.get_contexts_by_execution(execution.id)),
        state=pb.Execution.State.Name(execution.last_known_state),
        started_ms=execution.create_time_since_epoch,
        updated_ms=execution.last_update_time_since_epoch,
        properties=_properties(execution),
        inputs=inputs,
        outputs=outputs,
        type=execution.type,
    )


def _node_id(contexts: Iterable[pb.Context]) -> str:
    name_by_type: dict[str, str] = {context.type: context.name for context in contexts}
    # TFX names a node's context `PIPELINE.NODE`; both names may contain dots.
    return name_by_type[_NODE_CONTEXT_TYPE].removeprefix(f"{name_by_type[_PIPELINE_CONTEXT_TYPE]}.")


def _artifact_record(artifact: pb.Artifact, locate: Callable[[str], Path]) -> ArtifactRecord:
    return ArtifactRecord(
        id=artifact.id,
        type=artifact.type,
        uri=artifact.uri,
        path=locate(artifact.uri),
        properties=_properties(artifact),
        state=pb.Artifact.State.Name(artifact.state),
        created_ms=artifact.create_time_since_epoch,
    )


def _properties(message: pb.Artifact | pb.Execution) -> dict[str, PropertyValue]:
    values = [*message.properties.items(), *message.custom_properties.items()]
    kinds = ("string_value", "int_value", "double_value", "bool_value")
    return {name: getattr(value, kind) for name, value in values if (kind := value.WhichOneof("value")) in kinds}


def _flat_parameters(properties: Mapping[str, PropertyValue]) -> Iterator[tuple[str, Any]]:
    for key, text in sorted(properties.items()):
        if key == _SPAN:
            continue
        value = decoded(text)
        if key == _EVAL_CONFIG and isinstance(value, dict):
            for metric in (metric for spec in value.get("metrics_specs", []) for metric in spec.get("metrics", [])):
                yield from _thresholds(metric)
        yield from _flatten(key, value)


def _flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _flatten(f"{name}.{key}", entry)
    elif isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        for index, entry in enumerate(value):
            yield from _flatten(f"{name}[{index}]", entry)
    else:
        yield name, value


def _thresholds(metric: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the thresholds of a metric of an EvalConfig, and removes them from it."""
    name = json.loads(f"{{{metric.get('config', '')}}}").get("name", metric["class_name"])
    for entry in metric.pop("per_slice_thresholds", []):
        for spec in entry.get("slicing_specs") or [{}]:
            label = "".join(f"[{value}]" for value in spec.get("feature_values", {}).values())
            for kind, threshold in entry["threshold"].items():
                is_upper = "upper_bound" in threshold or threshold.get("direction") == "LOWER_IS_BETTER"
                side = f"{kind.removesuffix('_threshold')}{'.upper' if is_upper else ''}"
                (bound,) = (threshold[key] for key in ("lower_bound", "upper_bound", "absolute") if key in threshold)
                yield f"threshold.{name}{label}.{side}", bound
