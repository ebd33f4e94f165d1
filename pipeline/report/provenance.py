"""Provenance: parameters, digests and versions, which identify what ran."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import NamedTuple

from pipeline.records.metadata import ExecutionRecord
from pipeline.records.store import Run
from pipeline.report.view import RunView

_PACKAGES = (
    "tfx", "tensorflow", "tf-keras", "tensorflow-hub", "tensorflow-datasets", "tensorflow-transform",
    "tensorflow-data-validation", "tensorflow-model-analysis", "apache-beam", "ml-metadata", "numpy", "pillow",
)  # fmt: skip
_TFX_BOOKKEEPING = "__"
_DIGEST_WORDS = ("digest", "fingerprint", "sha256", "checksum")


class Digest(NamedTuple):
    """A digest of code or content; `owner` is a node or an artifact."""

    owner: str
    name: str
    value: str


class Provenance(NamedTuple):
    """What ran; nodes without parameters are missing."""

    parameters: Mapping[str, Mapping[str, str]]  # by node and name
    digests: Sequence[Digest]
    versions: Mapping[str, str]  # of Python and of packages, as installed on this machine now
    tfx_versions: Sequence[str]  # those that wrote the run's artifacts; cached artifacts may be of another version


def load(view: RunView) -> Provenance:
    """Collects what identifies the run."""
    parameters = {node: _parameters(execution) for node, execution in view.run.executions.items()}
    versions = {str(found) for a in view.run.artifacts() if (found := a.properties.get("tfx_version"))}
    return Provenance(
        parameters={node: found for node, found in parameters.items() if found},
        digests=_digests(view.run, parameters),
        versions=_installed_versions(),
        tfx_versions=sorted(versions),
    )


def _parameters(execution: ExecutionRecord) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in execution.parameters.items()
        if not name.startswith(_TFX_BOOKKEEPING) and value not in (None, "", [], {})
    }


def _digests(run: Run, parameters: Mapping[str, Mapping[str, str]]) -> list[Digest]:
    found: dict[Digest, None] = {}
    for node, execution in run.executions.items():
        for name, value in parameters[node].items():
            if _is_digest(name):
                found[Digest(node, name.rpartition(".")[2], value)] = None
        for _, artifact in execution.artifacts(written=True):
            for name, content in sorted(artifact.properties.items()):
                if _is_digest(name) and content:
                    found[Digest(f"{artifact.type} #{artifact.id}", name, str(content))] = None
    return list(found)


def _is_digest(name: str) -> bool:
    return any(word in name for word in _DIGEST_WORDS)


def _installed_versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
