"""What tests of the Kubeflow runner share."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp_launcher import DEFAULT_ROOT, FakeKfp

from components.modeling.hyperparameters import Hyperparameters
from pipeline.config import PUSHED_BASELINE, BackboneConfig, BlessingConfig, DataConfig, PipelineConfig
from pipeline.kubeflow.settings import ClusterSettings, Resources

IMAGE = "registry.example.org/flowers@sha256:" + 64 * "0"
CLASS_NAMES = ("dandelion", "daisy", "tulips", "sunflowers", "roses")


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
    from pipeline.kubeflow.compile import compile_pipeline

    path = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_pipeline(container_config, settings, path)
    return path


@pytest.fixture(scope="session")
def with_baseline(container_config: PipelineConfig) -> Any:
    """A function that gives the reference recipe another baseline."""
    return lambda baseline: dataclasses.replace(container_config, baseline=baseline)


@pytest.fixture
def pusher_run(container_config: PipelineConfig, settings: ClusterSettings, tmp_path: Path) -> Callable[..., FakeKfp]:
    """A function that prepares a run which has all but the Pusher behind it, with a blessed model.

    It takes where the Pusher writes, and its environment variables.
    """
    from pipeline.kubeflow.compile import build_spec

    def prepare(serving_model_dir: str, environment: dict[str, str]) -> FakeKfp:
        spec, _ = build_spec(container_config, dataclasses.replace(settings, env={}))
        tasks = spec["root"]["dag"]["tasks"]
        kfp = FakeKfp(
            spec, tmp_path / "kfp", parameters={"serving_model_dir": serving_model_dir}, environment=environment
        )
        files = {
            "trainer/model": ("Format-Serving/saved_model.pb", "Format-Serving/variables/variables.index"),
            "evaluator-test/blessing": ("BLESSED",),
        }
        kfp.outputs = {name: {} for name in tasks if name != "pusher"}
        for place, names in files.items():
            task, key = place.split("/")
            artifact = {"name": "1", "uri": f"{DEFAULT_ROOT}/{place}", "type": {"instanceSchema": ""}, "metadata": {}}
            kfp.outputs[task][key] = artifact
            for name in names:
                file = kfp.blob(artifact["uri"]) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("content")
        kfp.outputs["evaluator-test"]["blessing"]["metadata"] = {"blessed": 1.0}
        return kfp

    return prepare
