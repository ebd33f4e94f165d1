"""Makes a local ML Metadata store from a copy of a pipeline root, for the commands that read runs.

Reads only the execution records beside the outputs: it needs no cluster, API server or metadata service.
"""

import dataclasses
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from components.common.errors import UsageError
from pipeline.kubeflow.execution_record import RECORD_FILE, RECORD_KEY, ContainerArtifact, ContainerExecution
from pipeline.records.connection import sqlite_config

# Below the pipeline root KFP keeps PIPELINE/RUN/TASK/SALT/ARTIFACT.
_LEVELS_BELOW_RUN = 3
_EXTENSIBLE = {"can_add_fields": True, "can_omit_fields": True}


@dataclasses.dataclass(frozen=True)
class CopiedExecution:
    """A record in the copy: its run, and the local folder and the URI of the pipeline root."""

    entry: ContainerExecution
    run_id: str
    local_root: Path
    remote_root: str

    def local_uri(self, uri: str) -> str:
        """Converts an artifact's URI to its path in the copy; URIs outside of the pipeline root stay unchanged."""
        inside = uri.startswith(f"{self.remote_root}/")
        return f"{self.local_root}{uri.removeprefix(self.remote_root)}" if inside else uri


def collect(copy: Path, database: Path) -> dict[str, list[CopiedExecution]]:
    """Writes all runs of a copied pipeline root, or of a folder that holds it, to a new SQLite metadata store.

    Returns the executions of each run, cached ones included.
    """
    if database.exists():
        raise UsageError(f"{database} already exists; use an --output folder without a metadata store")
    records = find_records(copy)
    if not records:
        raise UsageError(
            f"{copy} holds no {RECORD_KEY}/{RECORD_FILE}; copy the whole pipeline root with its subfolders"
        )
    runs = {run_id: run_executions(run_id, records) for run_id in dict.fromkeys(record.run_id for record in records)}
    writer = _StoreWriter(mlmd.MetadataStore(sqlite_config(database)))
    times: dict[int, ContainerExecution] = {}
    for run_id, executions in runs.items():
        times |= writer.write_run(run_id, executions)
    _set_times(database, times)
    return runs


def find_records(copy: Path) -> list[CopiedExecution]:
    """Returns the execution records below a folder, oldest first."""
    found = []
    for path in sorted(copy.resolve().rglob(f"{RECORD_KEY}/{RECORD_FILE}")):
        entry = ContainerExecution.read(path)
        run_folder = path.parents[_LEVELS_BELOW_RUN]
        local_root = run_folder.parents[1]
        below = path.parent.relative_to(local_root).as_posix()
        remote_root = entry.record_uri.removesuffix(below).rstrip("/")
        found.append(CopiedExecution(entry, run_folder.name, local_root, remote_root))
    return sorted(found, key=lambda record: record.entry.started_ms)


def run_executions(run_id: str, records: Sequence[CopiedExecution]) -> list[CopiedExecution]:
    """Returns a run's executions in order, with those of earlier runs whose outputs KFP's cache reused."""
    by_output = {
        artifact.uri: record for record in records for entries in record.entry.outputs.values() for artifact in entries
    }
    chosen = {record.entry.node_id: record for record in records if record.run_id == run_id}
    waiting = list(chosen.values())
    while waiting:
        for artifacts in waiting.pop().entry.inputs.values():
            for producer in (by_output[artifact.uri] for artifact in artifacts if artifact.uri in by_output):
                if producer.entry.node_id not in chosen:
                    chosen[producer.entry.node_id] = producer
                    waiting.append(producer)
    return sorted(chosen.values(), key=lambda record: record.entry.started_ms)


class _StoreWriter:
    """Writes runs with the types, contexts and events that TFX would write."""

    def __init__(self, store: mlmd.MetadataStore):
        self._store = store
        self._artifact_ids: dict[str, int] = {}

    def write_run(self, run_id: str, executions: Iterable[CopiedExecution]) -> dict[int, ContainerExecution]:
        """Returns the records by execution id."""
        written = {}
        for record in executions:
            pipeline = self._context("pipeline", record.entry.pipeline_name)
            run = self._context("pipeline_run", run_id, parent=pipeline)
            node = self._context("node", f"{record.entry.pipeline_name}.{record.entry.node_id}")
            written[self._write_execution(record, run_id, [pipeline, run, node])] = record.entry
        return written

    def _write_execution(self, record: CopiedExecution, run_id: str, contexts: Sequence[int]) -> int:
        entry = record.entry
        execution = pb.Execution(
            type_id=self._store.put_execution_type(pb.ExecutionType(name=entry.executor), **_EXTENSIBLE),
            last_known_state=pb.Execution.COMPLETE if record.run_id == run_id else pb.Execution.CACHED,
            name=f"{run_id}.{entry.node_id}",
        )
        _set_properties(execution, entry.exec_properties)
        (execution_id,) = self._store.put_executions([execution])
        events = self._events(record, execution_id)
        self._store.put_events(events)
        pairs = {(event.artifact_id, context) for event in events for context in contexts}
        self._store.put_attributions_and_associations(
            [pb.Attribution(artifact_id=id_, context_id=context) for id_, context in pairs],
            [pb.Association(execution_id=execution_id, context_id=context) for context in contexts],
        )
        return execution_id

    def _events(self, record: CopiedExecution, execution_id: int) -> list[pb.Event]:
        events: dict[tuple[int, int], pb.Event] = {}
        for kind, groups in ((pb.Event.INPUT, record.entry.inputs), (pb.Event.OUTPUT, record.entry.outputs)):
            for key, index, artifact in ((key, *found) for key, all_ in groups.items() for found in enumerate(all_)):
                id_ = self._artifact(record, artifact)
                # A model may be its own baseline, and ML Metadata allows one event of each type.
                event_type = pb.Event.DECLARED_INPUT if (id_, kind) in events else kind
                event = pb.Event(artifact_id=id_, execution_id=execution_id, type=event_type)
                event.path.steps.extend([pb.Event.Path.Step(key=key), pb.Event.Path.Step(index=index)])
                events[id_, event_type] = event
        return list(events.values())

    def _artifact(self, record: CopiedExecution, entry: ContainerArtifact) -> int:
        uri = record.local_uri(entry.uri)
        if uri not in self._artifact_ids:
            type_id = self._store.put_artifact_type(pb.ArtifactType(name=entry.type), **_EXTENSIBLE)
            artifact = pb.Artifact(type_id=type_id, uri=uri, state=pb.Artifact.LIVE)
            _set_properties(artifact, entry.properties)
            (self._artifact_ids[uri],) = self._store.put_artifacts([artifact])
        return self._artifact_ids[uri]

    def _context(self, type_name: str, name: str, parent: int | None = None) -> int:
        if known := self._store.get_context_by_type_and_name(type_name, name):
            return int(known.id)
        type_id = self._store.put_context_type(pb.ContextType(name=type_name))
        (context_id,) = self._store.put_contexts([pb.Context(type_id=type_id, name=name)])
        if parent is not None:
            self._store.put_parent_contexts([pb.ParentContext(child_id=context_id, parent_id=parent)])
        return int(context_id)


def _set_properties(message: pb.Artifact | pb.Execution, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        if isinstance(value, str):
            message.custom_properties[name].string_value = value
        elif isinstance(value, float) and not value.is_integer():
            message.custom_properties[name].double_value = value
        elif isinstance(value, int | float):
            # JSON has one type of number; TFX's flags (`blessed`, `pushed`) and counts are integers.
            message.custom_properties[name].int_value = int(value)


def _set_times(database: Path, times: Mapping[int, ContainerExecution]) -> None:
    """Sets the times of the executions; ML Metadata itself sets the time of writing."""
    update = "UPDATE Execution SET create_time_since_epoch = ?, last_update_time_since_epoch = ? WHERE id = ?"
    rows = [(entry.started_ms, entry.finished_ms, execution_id) for execution_id, entry in times.items()]
    with sqlite3.connect(database) as connection:
        connection.executemany(update, rows)
