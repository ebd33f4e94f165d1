"""The cluster that a compiled pipeline runs on: image, folders, resources, volumes, environment."""

import dataclasses
import re

from components.common.errors import UserError, refuse_credentials
from components.contracts.nodes import FEATURE_EXTRACTOR, FINE_TUNING, TRAINER, TUNER

EVERY_COMPONENT = "*"
GPU_RESOURCE = "nvidia.com/gpu"
ROOT_SCHEMES = ("minio://", "s3://", "gs://")

# Names of environment variables that hold a secret itself, not the path of a file with it.
_SECRET_NAME = re.compile(r"(?:^|_)(?:SECRET|PASSWORD|PASSWD|TOKEN|COOKIE|KEY)(?:_ID)?$", re.IGNORECASE)
_MAX_NAME_LENGTH = 60
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(G|Gi|M|Mi)")
_MEMORY_IN_GB = {"G": 1.0, "Gi": 1.073741824, "M": 1e-3, "Mi": 1.048576e-3}


@dataclasses.dataclass(frozen=True)
class Resources:
    """Requests and limits of one component's container: CPU cores and gigabytes. 0 sets none."""

    cpu: float = 0.5
    cpu_limit: float = 0.0
    memory: float = 2.0
    memory_limit: float = 4.0
    gpu: int = 0
    gpu_type: str = GPU_RESOURCE

    @classmethod
    def parse(cls, text: str, default: "Resources") -> "Resources":
        """Reads text such as `cpu=2,memory=4G,memory_limit=512Mi,gpu=1`; other fields keep `default`."""
        values: dict[str, float | int | str] = {}
        for part in text.split(","):
            name, _, value = part.strip().partition("=")
            if name not in {field.name for field in dataclasses.fields(cls)} or not value:
                raise UserError(f"cannot read resource {part!r}; use e.g. cpu=2,memory=4G,memory_limit=8G,gpu=1")
            values[name] = value if name == "gpu_type" else _number(name, value)
        return dataclasses.replace(default, **values)  # type: ignore[arg-type]


def _number(name: str, value: str) -> float | int:
    if name.startswith("memory"):
        if not (match := _MEMORY.fullmatch(value)):
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
    """Returns the default requests and limits of a component."""
    return Resources(cpu=2.0, memory=4.0, memory_limit=8.0) if component_id in _HEAVY_COMPONENTS else Resources()


@dataclasses.dataclass(frozen=True)
class ClusterSettings:
    """The settings of the cluster in a compiled pipeline, which every user of Kubeflow can read: secrets are refused.

    Resources and node labels are by component id, or `*` for all other components.
    """

    image: str  # Best pinned by digest (`name@sha256:...`).
    pipeline_root: str
    serving_model_dir: str  # gs://, s3:// or a folder of a mounted volume.
    resources: dict[str, Resources] = dataclasses.field(default_factory=dict)
    node_selectors: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    volumes: dict[str, str] = dataclasses.field(default_factory=dict)  # Mount path by PersistentVolumeClaim.
    secret_env: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)  # Variable by key, by secret.
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    retries: int = 2
    retry_backoff_seconds: int = 30  # Before the first retry; it doubles with each.
    enable_cache: bool = True

    def __post_init__(self) -> None:
        check_pipeline_root(self.pipeline_root)
        refuse_credentials("serving model folder", self.serving_model_dir)
        for name, value in self.env.items():
            refuse_credentials(f"environment variable {name}", value)
            if _SECRET_NAME.search(name):
                raise UserError(
                    f"environment variable {name} would be readable in the compiled pipeline; put it into a Kubernetes "
                    f"secret, and use --secret-env SECRET:KEY={name}"
                )
        if self.serving_model_dir.startswith("minio://"):
            raise UserError(
                f"cannot push to {self.serving_model_dir!r}: TensorFlow addresses MinIO as s3://...; use that scheme, "
                "and set S3_ENDPOINT"
            )

    def resources_of(self, component_id: str) -> Resources:
        """Returns the requests and limits of a component."""
        named = self.resources.get(component_id) or self.resources.get(EVERY_COMPONENT)
        return named or default_resources(component_id)


def check_pipeline_root(uri: str) -> None:
    """Raises a UserError for a pipeline root with credentials, or one that KFP's launcher cannot use."""
    refuse_credentials("pipeline root", uri)
    if not uri.startswith(ROOT_SCHEMES):
        raise UserError(f"KFP cannot use pipeline root {uri!r}; use {', '.join(ROOT_SCHEMES)}...")


def kubernetes_name(name: str) -> str:
    """Converts a component id or pipeline name to letters, digits and hyphens: `Evaluator.test` to `evaluator-test`."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_MAX_NAME_LENGTH].rstrip("-")
