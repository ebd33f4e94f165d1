"""The record of one execution, a JSON file under the pipeline root: Kubeflow keeps ML Metadata inside the cluster."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from components.common.records import from_json

RECORD_KEY = "execution_record"
RECORD_FILE = "execution.json"


@dataclasses.dataclass(frozen=True)
class ContainerArtifact:
    """An artifact: its TFX type name, remote URI, and properties (TFX's own and custom ones)."""

    type: str
    uri: str
    properties: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ContainerExecution:
    """One execution of a component. Times are in milliseconds since 1970; inputs and outputs are by key.

    `record_uri` is the remote URI of the record's own artifact; it tells where the pipeline root was copied from.
    """

    pipeline_name: str
    node_id: str
    executor: str
    record_uri: str
    started_ms: int
    finished_ms: int
    exec_properties: dict[str, Any]
    inputs: dict[str, list[ContainerArtifact]]
    outputs: dict[str, list[ContainerArtifact]]

    def write(self, folder: Path) -> None:
        """Writes the record into its artifact's folder; makes the folder if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD_FILE).write_text(json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True))

    @classmethod
    def read(cls, path: Path) -> "ContainerExecution":
        """Reads a record's JSON file."""
        return from_json(cls, json.loads(path.read_text()))
