"""A run as ML Metadata and the files of its artifacts tell it, also from a copy of an output folder."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.common import contracts
from components.common.errors import UserError
from pipeline.history.records import ArtifactRecord, ExecutionRecord
from pipeline.history.store import RunStore

_FAILURE_PROPERTY = "__execution_result__"


@dataclasses.dataclass(frozen=True)
class RunRecords:
    """One run, whatever it came to.

    Attributes:
        run_id: The run's name in ML Metadata.
        pipeline_name: The pipeline it is a run of.
        output: The output folder that holds the metadata store.
        executions: By node id, in the order in which they ran; URIs are where the files are now.
    """

    run_id: str
    pipeline_name: str
    output: Path
    executions: Mapping[str, ExecutionRecord]

    def artifact(self, node_id: str, key: str) -> ArtifactRecord | None:
        """Returns the only output of a node under a key; None when the run did not come to it."""
        execution = self.executions.get(node_id)
        return execution.output(key) if execution else None

    def folder(self, node_id: str, key: str) -> Path | None:
        """Returns where an output's files are; None when there are none on this machine."""
        artifact = self.artifact(node_id, key)
        return Path(artifact.uri) if artifact and Path(artifact.uri).is_dir() else None

    def text(self, node_id: str, key: str, name: str) -> str | None:
        """Returns the content of a file of an output; None when it is not there."""
        folder = self.folder(node_id, key)
        path = folder / name if folder else None
        return path.read_text(encoding="utf-8") if path and path.is_file() else None

    def json(self, node_id: str, key: str, name: str) -> Any:
        """Returns the content of a JSON file of an output; None when it is not there."""
        content = self.text(node_id, key, name)
        return None if content is None else json.loads(content)

    def json_lines(self, node_id: str, key: str, name: str) -> list[Any]:
        """Returns the lines of a JSON Lines file of an output; empty when it is not there."""
        # Not splitlines(): ids may hold other line separators of Unicode.
        return [json.loads(line) for line in (self.text(node_id, key, name) or "").split("\n") if line]

    @property
    def examples(self) -> ArtifactRecord | None:
        """The examples that training used; before ImageValidator ended, those it was given."""
        return self.artifact("ImageValidator", "valid_examples") or self.artifact("TfdsExampleGen", "examples")

    @property
    def class_names(self) -> list[str]:
        """The classes in label order; empty before the data was read."""
        names: list[str] = self._examples_property(contracts.CLASS_NAMES_PROPERTY) or []
        return names

    @property
    def class_counts(self) -> dict[str, dict[str, int]]:
        """Photos per split and class name."""
        counts: dict[str, dict[str, int]] = self._examples_property(contracts.CLASS_COUNTS_PROPERTY) or {}
        return counts

    @property
    def splits(self) -> list[str]:
        """The splits that have photos, the usual ones first."""
        known = [split for split in contracts.SPLITS if split in self.class_counts]
        return known + sorted(set(self.class_counts) - set(known))

    def _examples_property(self, name: str) -> Any:
        text = self.examples.properties.get(name) if self.examples else None
        return json.loads(str(text)) if text else None

    @property
    def started_ms(self) -> int:
        """When the first node began, in milliseconds since 1970."""
        return min(execution.started_ms for execution in self.executions.values())

    @property
    def ended_ms(self) -> int:
        """When ML Metadata last heard of the run, in milliseconds since 1970."""
        return max(execution.updated_ms for execution in self.executions.values())


def failure_message(execution: ExecutionRecord) -> str:
    """Returns the last line of the error that an execution failed with; empty when TFX recorded none."""
    try:
        text = str(json.loads(str(execution.properties.get(_FAILURE_PROPERTY, "{}"))).get("resultMessage", ""))
    except ValueError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def load_run(store: RunStore, run_id: str) -> RunRecords:
    """Reads a run.

    Args:
        store: The runs.
        run_id: A run's full id.

    Returns:
        The run.

    Raises:
        UserError: No component of it has started yet.
    """
    executions = store.executions(run_id)
    if not executions:
        raise UserError(f"run {run_id} has no executions yet: ask again once a component has started")
    relocated = {node: _relocated(execution, store) for node, execution in executions.items()}
    return RunRecords(run_id, store.pipeline_names[run_id], store.output, relocated)


def _relocated(execution: ExecutionRecord, store: RunStore) -> ExecutionRecord:
    def move(groups: dict[str, list[ArtifactRecord]]) -> dict[str, list[ArtifactRecord]]:
        return {
            key: [dataclasses.replace(artifact, uri=_locate(store, artifact.uri)) for artifact in group]
            for key, group in groups.items()
        }

    return dataclasses.replace(execution, inputs=move(execution.inputs), outputs=move(execution.outputs))


def _locate(store: RunStore, uri: str) -> str:
    """A copy's own files come first: where they were copied from, another run may have taken their place."""
    copied = store.below_output(uri)
    return str(copied) if copied and copied.exists() else uri
