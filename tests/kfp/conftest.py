"""What tests on Kubeflow Pipelines' own binaries share: the installation, compiled pipelines, runs."""

import dataclasses
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argo import WorkflowRun
from click.testing import CliRunner
from installation import HOST, REGION, S3_HOST, S3_SECRET, Installation, MissingPartError, running
from pods import IMAGE
from s3_buckets import Buckets

from pipeline.kubeflow.command_line import cli

ROOT = "minio://mlpipeline/flowers"
CLAIM = "flowers-data"
PHOTOS_BUCKET, PHOTOS_PREFIX = "photos", "flowers"
# What a local run is told as well.
MODEL = ("--image-size", "16x16", "--hidden-units", "16", "--batch-size", "8")
LEARNING = {"epochs": "8", "learning_rate": "0.03", "min_accuracy": "0.6"}
# As docs/kubeflow.md has it.
STORAGE = (
    *("--env", f"S3_ENDPOINT=http://{S3_HOST}:9000", "--env", "S3_USE_HTTPS=0", "--env", "S3_VERIFY_SSL=0"),
    *("--env", f"AWS_REGION={REGION}"),
    *("--secret-env", f"{S3_SECRET}:accesskey=AWS_ACCESS_KEY_ID"),
    *("--secret-env", f"{S3_SECRET}:secretkey=AWS_SECRET_ACCESS_KEY"),
)
TRAINER = ("--node-selector", "Trainer:accelerator=nvidia-l4")
TRAINER_RESOURCES = ("--resources", "Trainer:cpu=1,memory=1G,memory_limit=3G,gpu=1")


@dataclasses.dataclass(frozen=True)
class SubmittedRun:
    """What `submit` printed, and the workflow that the API server made, as it was run."""

    id: str
    exit_code: int
    output: str
    workflow: WorkflowRun

    def executed(self) -> list[str]:
        """Returns the tasks whose component ran, once for each try."""
        names = [step.name.split(".") for step in self.workflow.steps if step.type == "Pod"]
        return sorted(parts[2] for parts in names if parts[-1].startswith("executor"))


# What the tests' summary says of the runs.
_FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[_FIGURES]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def volume(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Path:
    """A volume that holds a backbone."""
    folder = tmp_path_factory.mktemp("volume")
    shutil.copytree(tiny_backbone, folder / "backbone")
    return folder


@pytest.fixture(scope="session")
def kubeflow(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, volume: Path
) -> Iterator[Installation]:
    try:
        with running(tmp_path_factory.mktemp("kubeflow"), {CLAIM: volume}) as installation:
            yield installation
    except MissingPartError as error:
        pytest.skip(str(error))
    metadata, kubernetes = installation.metadata.calls, installation.kubernetes.calls
    pytestconfig.stash[_FIGURES].append(
        f"Calls: {metadata.total()} of ML Metadata ({len(metadata)} methods), {kubernetes.total()} of Kubernetes"
    )


@pytest.fixture(scope="session")
def buckets(kubeflow: Installation, small_photos: Path) -> Buckets:
    """The S3 server, with photos in a bucket."""
    buckets = Buckets()
    buckets.upload(small_photos, PHOTOS_BUCKET, PHOTOS_PREFIX)
    return buckets


@pytest.fixture(scope="session")
def compile_package(tmp_path_factory: pytest.TempPathFactory, small_photos: Path) -> Callable[..., Path]:
    """A function that compiles the pipeline with further options and returns its file."""

    def compile_(*options: str) -> Path:
        package = tmp_path_factory.mktemp("package") / "pipeline.yaml"
        arguments = [
            *("compile", "--image", IMAGE, "--pipeline-root", ROOT),
            *("--package", str(package), "--photos", str(small_photos)),
            *("--photos-path", f"s3://{PHOTOS_BUCKET}/{PHOTOS_PREFIX}"),
            *("--volume", f"{CLAIM}:/data", "--backbone", "/data/backbone"),
            # What is right arrives as run-time parameters.
            *("--epochs", "1", "--learning-rate", "0.00001", "--min-accuracy", "1.0"),
            *(*MODEL, *STORAGE, *TRAINER, *TRAINER_RESOURCES, *options),
        ]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        return package

    return compile_


@pytest.fixture(scope="session")
def submit(pytestconfig: pytest.Config, kubeflow: Installation, buckets: Buckets) -> Callable[..., SubmittedRun]:
    """A function that submits a package and follows the run to its end."""

    def run(package: Path, parameters: dict[str, str] = LEARNING, *options: str) -> SubmittedRun:
        before = set(kubeflow.controller.runs)
        given = [word for name, value in parameters.items() for word in ("--param", f"{name}={value}")]
        arguments = ["submit", "--package", str(package), "--host", HOST, "--poll-seconds", "1", *given, *options]
        started = time.monotonic()
        result = CliRunner().invoke(cli, arguments)
        seconds = time.monotonic() - started
        assert not result.exception or isinstance(result.exception, SystemExit), result.exception
        assert not kubeflow.controller.errors
        [workflow] = set(kubeflow.controller.runs) - before
        [run_id] = re.findall(r"/runs/details/(\S+)", result.output)
        submitted = SubmittedRun(run_id, result.exit_code, result.output, kubeflow.controller.runs[workflow])
        pytestconfig.stash[_FIGURES].append(
            f"Run {run_id}: {seconds:.0f} s, {len(submitted.executed())} components executed, "
            f"{len(submitted.workflow.pods)} pods"
        )
        return submitted

    return run


@pytest.fixture(scope="session")
def package(compile_package: Callable[..., Path]) -> Path:
    """The pipeline, with the model that was pushed last for a baseline."""
    return compile_package()


@pytest.fixture(scope="session")
def first_run(package: Path, submit: Callable[..., SubmittedRun]) -> SubmittedRun:
    """A run before which nothing had been run or pushed."""
    run = submit(package, LEARNING, "--watch")
    assert run.exit_code == 0, run.output
    return run
