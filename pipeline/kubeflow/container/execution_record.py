"""What a component did, as JSON under the pipeline root.

Kubeflow keeps ML Metadata inside the cluster (as of 2.17; a branch of it does without). With this record beside its
outputs a component's inputs, outputs, properties and parameters can be read from a copy of the pipeline root alone.
Written by `pipeline.kubeflow.container.entrypoint`, read by `pipeline.kubeflow.collect`.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

RECORD_KEY = "execution_record"
RECORD_FILE = "execution.json"


@dataclasses.dataclass(frozen=True)
class ArtifactEntry:
    """An artifact: its TFX type name, remote URI, and properties (TFX's own and custom ones)."""

    type: str
    uri: str
    properties: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ExecutionEntry:
    """One execution.

    Attributes:
        pipeline_name: The pipeline.
        node_id: The component.
        executor: Its executor class.
        record_uri: Remote URI of the record's own artifact; a copy's place is found from it.
        started_ms: Milliseconds since 1970.
        finished_ms: Milliseconds since 1970.
        exec_properties: The execution parameters that the executor saw.
        inputs: Artifacts by input key.
        outputs: Artifacts by output key.
    """

    pipeline_name: str
    node_id: str
    executor: str
    record_uri: str
    started_ms: int
    finished_ms: int
    exec_properties: dict[str, Any]
    inputs: dict[str, list[ArtifactEntry]]
    outputs: dict[str, list[ArtifactEntry]]

    def write(self, folder: Path) -> None:
        """Writes the record into its artifact's folder, made when missing."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD_FILE).write_text(json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True))

    @classmethod
    def read(cls, path: Path) -> "ExecutionEntry":
        """Reads a record.

        Args:
            path: The JSON file.
        """
        values = json.loads(path.read_text())
        for key in ("inputs", "outputs"):
            values[key] = {
                name: [ArtifactEntry(**artifact) for artifact in artifacts] for name, artifacts in values[key].items()
            }
        return cls(**values)
