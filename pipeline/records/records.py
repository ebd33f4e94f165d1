"""Queries of ML Metadata without TFX or TensorFlow, so that they answer at once."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

PropertyValue = str | int | float
_PIPELINE_CONTEXT_TYPE = "pipeline"
_RUN_CONTEXT_TYPE = "pipeline_run"
_NODE_CONTEXT_TYPE = "node"
_FAILURE_PROPERTY = "__execution_result__"
_INPUT_EVENTS = (pb.Event.INPUT, pb.Event.DECLARED_INPUT)


def sqlite_config(path: Path, read_only: bool = False) -> pb.ConnectionConfig:
    """Returns the connection to a SQLite store.

    Args:
        path: The database file; with its folder, made when missing.
        read_only: Neither makes nor changes anything; the file has to be there.
    """
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    if read_only:
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
        return config
    path.parent.mkdir(parents=True, exist_ok=True)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


@dataclasses.dataclass(frozen=True)
class ArtifactRecord:
    """An artifact as ML Metadata knows it, custom properties included in `properties`.

    Its files are at `path`: `uri` is where they were when they were written.
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
        """Whether TFX answered it from an earlier execution."""
        return self.state == "CACHED"

    @property
    def failure(self) -> str:
        """The last line of the error that it failed with; empty when TFX recorded none."""
        try:
            text = str(json.loads(str(self.properties.get(_FAILURE_PROPERTY, "{}"))).get("resultMessage", ""))
        except ValueError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def output(self, key: str) -> ArtifactRecord | None:
        """Returns the only artifact of an output, or None when there is none."""
        artifacts = self.outputs.get(key, [])
        return artifacts[0] if artifacts else None


def is_cached(store: mlmd.MetadataStore, execution_id: int) -> bool:
    """Tells whether TFX answered an execution from its cache."""
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


def run_executions(
    store: mlmd.MetadataStore, run_id: str, locate: Callable[[str], Path] = Path
) -> dict[str, ExecutionRecord]:
    """Returns a run's executions by node id, in the order in which they ran.

    Args:
        store: An open ML Metadata store.
        run_id: The run's name in ML Metadata.
        locate: From a recorded URI to where the files are now.
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
    # TFX names a node's context after pipeline and node: `pipeline.node`; both may hold dots.
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
