"""Tests of how the TFLite export is asked for, wired and reported."""

import dataclasses

from components.modeling.hyperparameters import FineTuning
from pipeline.config import BackboneConfig, DataConfig, PipelineConfig
from pipeline.graph import create_pipeline

_CONFIG = PipelineConfig(
    name="flowers",
    output="/tmp/flowers",
    data=DataConfig(class_names=("daisy", "roses"), fingerprint="1", dataset="synthetic_flowers"),
    backbone=BackboneConfig("efficientnet_lite0", (224, 224), digest="d1"),
    fine_tuning=FineTuning(),
)


def test_it_converts_what_is_pushed() -> None:
    assert "TFLiteExporter" not in {component.id for component in create_pipeline(_CONFIG).components}
    components = create_pipeline(dataclasses.replace(_CONFIG, export_tflite=True)).components
    (exporter,) = (component for component in components if component.id == "TFLiteExporter")
    producers = {key: channel.producer_component_id for key, channel in exporter.inputs.items()}
    assert producers == {
        "model": "Trainer.fine_tuning",
        "model_blessing": "Evaluator.test",
        "examples": "ImageValidator",
        "transform_graph": "Transform",
    }
