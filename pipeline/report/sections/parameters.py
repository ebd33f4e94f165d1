"""Parameters: those of every component, and the digests and versions that say what ran."""

import dataclasses
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata

from pipeline.records.parameters import step_parameters
from pipeline.records.records import ExecutionRecord
from pipeline.records.run import Run

_PACKAGES = (
    "tfx", "tensorflow", "tf-keras", "tensorflow-hub", "tensorflow-datasets", "tensorflow-transform",
    "tensorflow-data-validation", "tensorflow-model-analysis", "apache-beam", "ml-metadata", "numpy", "pillow",
    "matplotlib",
)  # fmt: skip
_BOOKKEEPING = "__"
_DIGEST_WORDS = ("digest", "fingerprint", "sha256", "checksum")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of a component."""

    name: str
    value: str


@dataclasses.dataclass(frozen=True)
class Digest:
    """A digest that identifies code or content."""

    owner: str
    name: str
    value: str


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What ran.

    Attributes:
        parameters: By node id; nodes without any are missing.
        digests: Every digest that the run's components and artifacts carry.
        versions: Of Python and of the packages that matter, as installed here and now.
        tfx_versions: The TFX versions that made the run's artifacts; cached ones may be of another version.
    """

    parameters: Mapping[str, Sequence[Parameter]]
    digests: Sequence[Digest]
    versions: Mapping[str, str]
    tfx_versions: Sequence[str]


def load(run: Run) -> Provenance:
    """Collects them."""
    parameters = {node_id: _parameters(execution) for node_id, execution in run.executions.items()}
    return Provenance(
        parameters={node_id: found for node_id, found in parameters.items() if found},
        digests=_digests(run),
        versions=_versions(),
        tfx_versions=sorted({str(found) for a in run.artifacts() if (found := a.properties.get("tfx_version"))}),
    )


def _parameters(execution: ExecutionRecord) -> list[Parameter]:
    """Names them as `step_parameters` does, TFX's bookkeeping and what has no value left out."""
    return [
        Parameter(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in step_parameters(execution).items()
        if not name.startswith(_BOOKKEEPING) and value not in (None, "", [], {})
    ]


def _digests(run: Run) -> list[Digest]:
    found: dict[Digest, None] = {}
    for node, execution in run.executions.items():
        for parameter in _parameters(execution):
            if _is_digest(parameter.name) and parameter.value:
                found[Digest(node, parameter.name.rpartition(".")[2], parameter.value)] = None
        for artifacts in execution.outputs.values():
            for artifact in artifacts:
                for name, value in sorted(artifact.properties.items()):
                    if _is_digest(name) and value:
                        found[Digest(f"{artifact.type} #{artifact.id}", name, str(value))] = None
    return list(found)


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _is_digest(name: str) -> bool:
    return any(word in name for word in _DIGEST_WORDS)
