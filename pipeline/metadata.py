"""Queries of ML Metadata without TFX or TensorFlow, so that they answer at once.

Called by `pipeline.local`, by the end-of-run summary and by the inspection commands.
"""

import dataclasses
from pathlib import Path

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

PropertyValue = str | int | float
_RUN_CONTEXT_TYPE = "pipeline_run"
_NODE_CONTEXT_TYPE = "node"


def sqlite_config(path: Path) -> pb.ConnectionConfig:
    """Returns the connection to a SQLite store, made when missing.

    Args:
        path: The database file; its folder is created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


@dataclasses.dataclass(frozen=True)
class ArtifactRecord:
    """An artifact as ML Metadata knows it, custom properties included in `properties`."""

    id: int
    type: str
    uri: str
    properties: dict[str, PropertyValue]


@dataclasses.dataclass(frozen=True)
class ExecutionRecord:
    """One execution of a node within a run, with its artifacts by input or output key."""

    id: int
    node_id: str
    state: str
    started_ms: int
    updated_ms: int
    properties: dict[str, PropertyValue]
    inputs: dict[str, list[ArtifactRecord]]
    outputs: dict[str, list[ArtifactRecord]]

    @property
    def cached(self) -> bool:
        """Whether TFX answered it from an earlier execution."""
        return self.state == "CACHED"

    def output(self, key: str) -> ArtifactRecord | None:
        """Returns the only artifact of an output, or None when there is none."""
        artifacts = self.outputs.get(key, [])
        return artifacts[0] if artifacts else None


class MetadataQueries:
    """Read-only questions to a metadata store."""

    def __init__(self, store: mlmd.MetadataStore):
        """Wraps a store.

        Args:
            store: An open ML Metadata store.
        """
        self._store = store

    def is_cached(self, execution_id: int) -> bool:
        """Tells whether TFX answered an execution from its cache."""
        (execution,) = self._store.get_executions_by_id([execution_id])
        return bool(execution.last_known_state == pb.Execution.CACHED)

    def run_executions(self, run_id: str) -> dict[str, ExecutionRecord]:
        """Returns a run's executions by node id, in the order in which they ran.

        Args:
            run_id: The run's name in ML Metadata.
        """
        context = self._store.get_context_by_type_and_name(_RUN_CONTEXT_TYPE, run_id)
        if context is None:
            return {}
        executions = sorted(self._store.get_executions_by_context(context.id), key=lambda execution: execution.id)
        return {record.node_id: record for record in map(self._execution_record, executions)}

    def _execution_record(self, execution: pb.Execution) -> ExecutionRecord:
        inputs: dict[str, list[ArtifactRecord]] = {}
        outputs: dict[str, list[ArtifactRecord]] = {}
        events = self._store.get_events_by_execution_ids([execution.id])
        artifacts = {a.id: a for a in self._store.get_artifacts_by_id(sorted({event.artifact_id for event in events}))}
        for event in events:
            group = inputs if event.type in (pb.Event.INPUT, pb.Event.DECLARED_INPUT) else outputs
            group.setdefault(event.path.steps[0].key, []).append(_artifact_record(artifacts[event.artifact_id]))
        return ExecutionRecord(
            id=execution.id,
            node_id=self._node_id(execution.id),
            state=pb.Execution.State.Name(execution.last_known_state),
            started_ms=execution.create_time_since_epoch,
            updated_ms=execution.last_update_time_since_epoch,
            properties=_properties(execution),
            inputs=inputs,
            outputs=outputs,
        )

    def _node_id(self, execution_id: int) -> str:
        contexts = self._store.get_contexts_by_execution(execution_id)
        name: str = next(context.name for context in contexts if context.type == _NODE_CONTEXT_TYPE)
        # TFX names a node's context after pipeline and node: `pipeline.node`; both may hold dots.
        pipeline_name = next(context.name for context in contexts if context.type == "pipeline")
        return name.removeprefix(f"{pipeline_name}.")


def _artifact_record(artifact: pb.Artifact) -> ArtifactRecord:
    return ArtifactRecord(artifact.id, artifact.type, artifact.uri, _properties(artifact))


def _properties(message: pb.Artifact | pb.Execution) -> dict[str, PropertyValue]:
    values = [*message.properties.items(), *message.custom_properties.items()]
    kinds = ("string_value", "int_value", "double_value")
    return {name: getattr(value, kind) for name, value in values if (kind := value.WhichOneof("value")) in kinds}
