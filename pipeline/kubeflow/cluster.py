"""What a compiled pipeline needs to know of the cluster it will run on.

Values only.
"""

import dataclasses
import re

from components.common.errors import UserError, refuse_credentials
from components.contracts.nodes import FEATURE_EXTRACTOR, FINE_TUNING, TRAINER, TUNER

EVERY_COMPONENT = "*"
GPU_RESOURCE = "nvidia.com/gpu"
ROOT_SCHEMES = ("minio://", "s3://", "gs://")

# Names of environment variables that are secrets themselves, not files of them.
_SECRET_NAME = re.compile(r"(?:^|_)(?:SECRET|PASSWORD|PASSWD|TOKEN|COOKIE|KEY)(?:_ID)?$", re.IGNORECASE)
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(G|Gi|M|Mi)")
_MEMORY_IN_GB = {"G": 1.0, "Gi": 1.073741824, "M": 1e-3, "Mi": 1.048576e-3}


@dataclasses.dataclass(frozen=True)
class Resources:
    """What one component's container asks for; a value of 0 asks for nothing.

    Attributes:
        cpu: CPU cores requested.
        cpu_limit: CPU cores at most.
        memory: Memory requested, in GB.
        memory_limit: Memory at most, in GB.
        gpu: Number of accelerators.
        gpu_type: Kubernetes' name of the accelerator resource.
    """

    cpu: float = 0.5
    cpu_limit: float = 0.0
    memory: float = 2.0
    memory_limit: float = 4.0
    gpu: int = 0
    gpu_type: str = GPU_RESOURCE

    @classmethod
    def parse(cls, text: str, default: "Resources") -> "Resources":
        """Reads `cpu=2,memory=4G,memory_limit=8G,gpu=1`.

        Args:
            text: Comma-separated `name=value`; memory with a unit G, Gi, M or Mi.
            default: Values of what is not named.

        Returns:
            The resources.

        Raises:
            UserError: A name or a value is none of these.
        """
        values: dict[str, float | int | str] = {}
        for part in text.split(","):
            name, _, value = part.strip().partition("=")
            if name not in {field.name for field in dataclasses.fields(cls)} or not value:
                raise UserError(f"resource {part!r} is not understood; use e.g. cpu=2,memory=4G,memory_limit=8G,gpu=1")
            values[name] = value if name == "gpu_type" else _number(name, value)
        return dataclasses.replace(default, **values)  # type: ignore[arg-type]


def _number(name: str, value: str) -> float | int:
    if name.startswith("memory"):
        match = _MEMORY.fullmatch(value)
        if not match:
            raise UserError(f"{name} is {value!r}; use a number with a unit, such as 4G or 512Mi")
        return float(match[1]) * _MEMORY_IN_GB[match[2]]
    try:
        number = int(value) if name == "gpu" else float(value)
    except ValueError:
        raise UserError(f"{name} is {value!r}; use a number") from None
    if number < 0:
        raise UserError(f"{name} is {value!r}; use 0 or more")
    return number


_HEAVY_COMPONENTS = (FEATURE_EXTRACTOR, TRAINER, FINE_TUNING, TUNER, EVERY_COMPONENT)


def default_resources(component_id: str) -> Resources:
    """Returns what a component asks for unless the user says otherwise."""
    return Resources(cpu=2.0, memory=4.0, memory_limit=8.0) if component_id in _HEAVY_COMPONENTS else Resources()


@dataclasses.dataclass(frozen=True)
class ClusterSettings:
    """A compiled pipeline's view of the cluster.

    Attributes:
        image: Container image of every component, best pinned by digest (`name@sha256:...`).
        pipeline_root: Where artifacts are written; minio://, s3:// or gs://, as KFP's launcher takes no other.
        serving_model_dir: Where blessed models are pushed; gs://, s3:// or a folder of a mounted volume.
        resources: Per component id, or `*` for those not named.
        node_selectors: Per component id or `*`: the labels that a node must have.
        volumes: Mount path by name of a PersistentVolumeClaim, mounted in every component.
        secret_env: Per Kubernetes secret: environment variable by key, set in every component.
        env: Environment variables of every component.
        retries: How often a failed component is tried again.
        retry_backoff_seconds: Wait before the first further try; it doubles each time.
        enable_cache: Whether KFP may answer a component from an earlier identical one.
    """

    image: str
    pipeline_root: str
    serving_model_dir: str
    resources: dict[str, Resources] = dataclasses.field(default_factory=dict)
    node_selectors: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    volumes: dict[str, str] = dataclasses.field(default_factory=dict)
    secret_env: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    retries: int = 2
    retry_backoff_seconds: int = 30
    enable_cache: bool = True

    def __post_init__(self) -> None:
        self._refuse_secrets()
        if not self.pipeline_root.startswith(ROOT_SCHEMES):
            raise UserError(
                f"pipeline root {self.pipeline_root!r} is not one that KFP can use; give {', '.join(ROOT_SCHEMES)}..."
            )
        if self.serving_model_dir.startswith("minio://"):
            raise UserError(
                f"serving model folder {self.serving_model_dir!r}: TensorFlow writes to MinIO as s3://...; say so, "
                "and set S3_ENDPOINT"
            )

    def _refuse_secrets(self) -> None:
        """Everyone who sees the pipeline in Kubeflow's user interface can read its spec."""
        refuse_credentials("pipeline root", self.pipeline_root)
        refuse_credentials("serving model folder", self.serving_model_dir)
        for name, value in self.env.items():
            refuse_credentials(f"environment variable {name}", value)
            if _SECRET_NAME.search(name):
                raise UserError(
                    f"environment variable {name} could be read in the compiled pipeline: put it into a Kubernetes "
                    f"secret, and give --secret-env SECRET:KEY={name}"
                )

    def resources_of(self, component_id: str) -> Resources:
        """Returns what a component asks for."""
        named = self.resources.get(component_id) or self.resources.get(EVERY_COMPONENT)
        return named or default_resources(component_id)
