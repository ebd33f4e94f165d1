"""Parameters, digests and versions of a run."""

import dataclasses
import json
import platform
from importlib import metadata

from pipeline.history.parameters import step_parameters
from pipeline.history.records import ExecutionRecord
from pipeline.history.run import Run

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


def parameters_of(execution: ExecutionRecord) -> list[Parameter]:
    """Returns an execution's parameters under flat names such as `custom_config.hyperparameters.epochs`.

    Args:
        execution: The execution; TFX's own bookkeeping and parameters without a value are left out.
    """
    return [
        Parameter(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in step_parameters(execution).items()
        if not name.startswith(_BOOKKEEPING) and value not in (None, "", [], {})
    ]


def digests_of(run: Run) -> list[Digest]:
    """Returns every digest that the run's components and artifacts carry."""
    found: dict[Digest, None] = {}
    for node, execution in run.executions.items():
        for parameter in parameters_of(execution):
            if _is_digest(parameter.name) and parameter.value:
                found[Digest(node, parameter.name.rpartition(".")[2], parameter.value)] = None
        for artifacts in execution.outputs.values():
            for artifact in artifacts:
                for name, value in sorted(artifact.properties.items()):
                    if _is_digest(name) and value:
                        found[Digest(f"{artifact.type} #{artifact.id}", name, str(value))] = None
    return list(found)


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that matter, as installed here and now."""
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def tfx_versions(run: Run) -> list[str]:
    """Returns the TFX versions that made the run's artifacts; cached ones may be of another version."""
    return sorted({str(a.properties["tfx_version"]) for a in run.artifacts() if "tfx_version" in a.properties})


def _is_digest(name: str) -> bool:
    return any(word in name for word in _DIGEST_WORDS)
