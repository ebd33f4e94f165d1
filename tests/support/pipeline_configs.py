"""Configurations of pipelines that are built and not run."""

from typing import Any

from tfx.dsl.components.base.base_node import BaseNode

from components.modeling.hyperparameters import FineTuning
from pipeline.config import BackboneConfig, DataConfig, PipelineConfig
from pipeline.graph import create_pipeline


def make_config(**settings: Any) -> PipelineConfig:
    return PipelineConfig(
        name="flowers",
        output=settings.pop("output", "/tmp/flowers"),
        data=DataConfig(class_names=("daisy", "roses"), fingerprint="1", dataset="synthetic_flowers"),
        backbone=BackboneConfig("efficientnet_lite0", (224, 224), digest="d1"),
        **settings,
    )


# Has every component of a local run.
WHOLE = make_config(tuning_trials=2, fine_tuning=FineTuning(), export_tflite=True)


def nodes_of(config: PipelineConfig) -> dict[str, BaseNode]:
    return {node.id: node for node in create_pipeline(config).components}
