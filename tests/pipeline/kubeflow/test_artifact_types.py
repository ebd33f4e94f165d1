"""A container finds the class of every artifact type of the graph, and of every type that is defined at all."""

import importlib
import pkgutil

import pytest
from tfx import types
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils
from tfx.utils import import_utils

import components
from components.contracts.artifact_types import own_artifact_types
from components.modeling.hyperparameters import FineTuning
from pipeline.config import BackboneConfig, DataConfig, PipelineConfig
from pipeline.graph import create_pipeline
from pipeline.kubeflow.entrypoint import register_artifact_types


def _types_of_the_graph() -> dict[str, type[types.Artifact]]:
    whole = PipelineConfig(
        name="flowers",
        output="/tmp/flowers",
        data=DataConfig(class_names=("daisy", "roses"), fingerprint="1", dataset="synthetic_flowers"),
        backbone=BackboneConfig("efficientnet_lite0", (224, 224), digest="d1"),
        tuning_trials=1,
        fine_tuning=FineTuning(),
        export_tflite=True,
    )
    nodes = create_pipeline(whole).components
    channels = [channel for node in nodes for channel in [*node.inputs.values(), *node.outputs.values()]]
    return {channel.type.__name__: channel.type for channel in channels}


_TYPES = _types_of_the_graph()


@pytest.mark.parametrize("name", sorted(_TYPES))
def test_a_container_finds_the_class_of_every_type(name: str) -> None:
    register_artifact_types()
    message = compiler_utils.pipeline_pb2.ArtifactTypeSchema(
        instance_schema=compiler_utils.get_artifact_schema(_TYPES[name])
    )
    path = kubeflow_v2_entrypoint_utils._retrieve_class_path(message)
    assert import_utils.import_class_by_path(path) is _TYPES[name]


def test_every_type_of_the_project_is_registered_and_used() -> None:
    """A type that is defined beside its component would be unknown to the containers of the others."""
    for module in pkgutil.walk_packages(components.__path__, "components."):
        importlib.import_module(module.name)
    defined = {cls for cls in types.Artifact.__subclasses__() if cls.__module__.startswith("components.")}
    assert defined == set(own_artifact_types()) == set(_TYPES.values()) & defined
    assert len(defined) >= 4
