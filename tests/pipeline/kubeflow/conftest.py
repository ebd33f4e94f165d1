"""What tests of the Kubeflow runner share."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from components.modeling.hyperparameters import Hyperparameters
from pipeline.config import NO_BASELINE, BackboneConfig, BlessingConfig, DataConfig, PipelineConfig
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
        baseline=NO_BASELINE,
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
