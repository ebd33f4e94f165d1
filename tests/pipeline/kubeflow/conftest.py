"""What tests of the Kubeflow runner share."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fake_api_server import FakeApiServer, running_server
from kfp_launcher import RUN_ID, FakeKfp

from components.contracts.drift import SAMPLE_FILE
from components.contracts.evaluation import ClassMetrics, EvaluationMetrics
from components.contracts.serving_folder import BASELINE_VERSION_PROPERTY, NO_VERSION
from components.modeling.hyperparameters import Hyperparameters
from pipeline.config import PUSHED_BASELINE, BackboneConfig, BlessingConfig, DataConfig, PipelineConfig
from pipeline.kubeflow.cluster import ClusterSettings, Resources
from pipeline.kubeflow.command_line import cli

IMAGE = "registry.example.org/flowers@sha256:" + 64 * "0"
CLASS_NAMES = ("dandelion", "daisy", "tulips", "sunflowers", "roses")
METRICS = EvaluationMetrics(
    split="test",
    examples=20,
    accuracy=0.9,
    loss=0.25,
    classes=[ClassMetrics(name, 4, 1.0, 1.0, 1.0) for name in CLASS_NAMES],
    confusion_matrix=[],
    baseline=None,
    thresholds=[],
    serving_difference=0.0,
)


@pytest.fixture(scope="session")
def container_config() -> PipelineConfig:
    """The reference recipe, for containers."""
    return PipelineConfig(
        name="tf-flowers",
        output="minio://mlpipeline/flowers",
        data=DataConfig(class_names=CLASS_NAMES, fingerprint="tf_flowers/3.0.1", dataset="tf_flowers"),
        backbone=BackboneConfig(name="inception_v3", image_size=(299, 299)),
        hyperparameters=Hyperparameters(),
        blessing=BlessingConfig(min_accuracy=0.8),
        baseline=PUSHED_BASELINE,
        work_root="/tmp/flowers",
    )


@pytest.fixture(scope="session")
def settings() -> ClusterSettings:
    """A cluster with MinIO, a volume and one GPU node pool."""
    return ClusterSettings(
        image=IMAGE,
        pipeline_root="minio://mlpipeline/flowers",
        serving_model_dir="s3://mlpipeline/flowers/serving_model/tf-flowers",
        resources={"Trainer": Resources(cpu=4, memory=8, memory_limit=16, gpu=1)},
        node_selectors={"Trainer": {"accelerator": "nvidia-l4"}},
        volumes={"flowers-data": "/data"},
        secret_env={"mlpipeline-minio-artifact": {"accesskey": "AWS_ACCESS_KEY_ID"}},
        env={"S3_ENDPOINT": "http://seaweedfs.kubeflow:9000"},
    )


@pytest.fixture(scope="session")
def compiled(
    container_config: PipelineConfig, settings: ClusterSettings, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The reference recipe, compiled to a file."""
    from pipeline.kubeflow.compiler import compile_pipeline

    path = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_pipeline(container_config, settings, path)
    return path


@pytest.fixture(scope="session")
def with_baseline(container_config: PipelineConfig) -> Any:
    """A function that gives the reference recipe another baseline."""
    return lambda baseline: dataclasses.replace(container_config, baseline=baseline)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApiServer]:
    """A loopback API server, and a home folder without kfp's settings."""
    # kfp reads a context from the home folder.
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("FLOWERS_KFP_TOKEN", "FLOWERS_KFP_COOKIE", "KF_PIPELINES_UI_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    with running_server() as running:
        yield running


@pytest.fixture
def submit(compiled: Path) -> Callable[..., Result]:
    """A function that submits the compiled pipeline to a host."""

    def run(host: str, *options: str) -> Result:
        arguments = ["submit", "--package", str(compiled), "--host", host, "--poll-seconds", "0.1", *options]
        return CliRunner().invoke(cli, arguments)

    return run


@pytest.fixture
def task_run(container_config: PipelineConfig, settings: ClusterSettings, tmp_path: Path) -> Callable[..., FakeKfp]:
    """A function that prepares a run which has all but one task behind it, with a blessed model.

    It takes the task, where models are pushed to, the environment variables, and what the task finds: the model's
    weights, and the version of the baseline.
    """
    from pipeline.kubeflow.compiler import build_spec

    spec, _ = build_spec(container_config, dataclasses.replace(settings, env={}))

    def prepare(
        task: str,
        serving_model_dir: str,
        environment: dict[str, str],
        *,
        run_id: str = RUN_ID,
        weights: str = "content",
        baseline_version: str = NO_VERSION,
    ) -> FakeKfp:
        kfp = FakeKfp(
            spec,
            tmp_path / "kfp",
            parameters={"serving_model_dir": serving_model_dir},
            environment=environment,
            outputs={name: {} for name in spec["root"]["dag"]["tasks"] if name != task},
            run_id=run_id,
        )
        model = {"Format-Serving/saved_model.pb": "content", "Format-Serving/variables/variables.index": weights}
        metrics = {"metrics.json": json.dumps(dataclasses.asdict(METRICS))}
        kfp.put("trainer", "model", model, {})
        kfp.put("evaluator-test", "blessing", {"BLESSED": ""}, {"blessed": 1.0})
        kfp.put("evaluator-test", "evaluation", metrics, {})
        kfp.put("drift-detector", "drift", {SAMPLE_FILE: f"photos of {weights}"}, {})
        if task != "baseline-reader":
            kfp.put("baseline-reader", "model", {}, {BASELINE_VERSION_PROPERTY: baseline_version})
        return kfp

    return prepare
