"""How components are wired, and by which names and types others know their outputs."""

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pipeline_configs import WHOLE, make_config, nodes_of
from tfx import types
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils
from tfx.utils import import_utils

import components
from components.common.errors import UserError
from components.contracts import nodes as names
from components.contracts.artifact_types import own_artifact_types
from components.modeling.hyperparameters import FineTuning
from pipeline.cli.main import cli
from pipeline.cli.run_options import collect_run_options
from pipeline.graph import create_pipeline
from pipeline.kubeflow.entrypoint import register_artifact_types
from pipeline.presets import build_config


def _producer(node: BaseNode, key: str) -> str:
    return node.inputs[key].producer_component_id


def _custom_config(node: BaseNode) -> dict[str, Any]:
    return json.loads(node.exec_properties["custom_config"])


def test_options_that_add_nodes_are_off() -> None:
    nodes = nodes_of(make_config())
    assert not {"Tuner", "Trainer.fine_tuning", "TFLiteExporter"} & nodes.keys()
    assert "hyperparameters" not in nodes["Trainer"].inputs
    assert _producer(nodes["Pusher"], "model") == "Trainer"


def test_photos_are_read_where_they_are_stored_once() -> None:
    nodes = nodes_of(make_config(fine_tuning=FineTuning()))
    for node_id in ("Trainer", "Evaluator.validation", "Evaluator.test"):
        assert _producer(nodes[node_id], "examples") == "FeatureExtractor"
        assert _producer(nodes[node_id], "photos") == "ImageValidator"


def test_the_best_hyperparameters_flow_to_the_trainer() -> None:
    nodes = nodes_of(make_config(tuning_trials=7, feature_memory=5))
    assert _producer(nodes["Tuner"], "examples") == "FeatureExtractor"
    assert _producer(nodes["Trainer"], "hyperparameters") == "Tuner"
    assert _custom_config(nodes["Tuner"])["trials"] == 7
    assert [_custom_config(nodes[node_id])["feature_memory"] for node_id in ("Tuner", "Trainer")] == [5, 5]


def test_fine_tuning_goes_on_from_the_trained_head_and_is_what_is_judged() -> None:
    nodes = nodes_of(make_config(fine_tuning=FineTuning(layers=3)))
    fine_tuner = nodes["Trainer.fine_tuning"]
    assert _producer(fine_tuner, "examples") == "ImageValidator"
    assert _producer(fine_tuner, "base_model") == "Trainer"
    assert _custom_config(fine_tuner)["fine_tuning"]["layers"] == 3
    for node_id in ("Evaluator.validation", "Evaluator.test", "Pusher"):
        assert _producer(nodes[node_id], "model") == "Trainer.fine_tuning"


def test_tflite_is_made_of_what_is_pushed() -> None:
    exporter = nodes_of(WHOLE)["TFLiteExporter"]
    assert {key: _producer(exporter, key) for key in exporter.inputs} == {
        "model": "Trainer.fine_tuning",
        "model_blessing": "Evaluator.test",
        "examples": "ImageValidator",
        "transform_graph": "Transform",
    }


def test_fine_tuning_options_need_fine_tuning() -> None:
    result = CliRunner().invoke(cli, ["run", "--fine-tune-layers", "3", "--budget", "5m"])
    assert result.exit_code == 2
    assert "Error: missing --fine-tune, required by --budget, --fine-tune-layers" in result.output


def test_a_backbone_that_cannot_be_trained_is_refused_at_once(tmp_path: Path, tiny_backbone: Path) -> None:
    options = collect_run_options("quickstart", output=str(tmp_path), backbone=str(tiny_backbone), fine_tune=True)
    with pytest.raises(UserError, match="cannot be fine-tuned"):
        build_config(options)


@pytest.mark.parametrize("option", [{"tuning_trials": 3}, {"fine_tuning": FineTuning()}])
def test_features_and_head_stay_cached_whatever_follows(option: dict[str, object]) -> None:
    """What they are given is the same, so TFX's cache answers."""
    plain, more = nodes_of(make_config()), nodes_of(make_config(**option))
    for node_id in ("FeatureExtractor", "Trainer"):
        assert plain[node_id].exec_properties == more[node_id].exec_properties


def test_the_runner_s_options_reach_every_beam_component(tmp_path: Path, tiny_backbone: Path) -> None:
    given = {"backbone": str(tiny_backbone), "beam_runner": "multi_processing", "beam_workers": 3}
    config = build_config(collect_run_options("quickstart", output=str(tmp_path), num_photos=30, **given))
    assert "--direct_num_workers=3" in create_pipeline(config).beam_pipeline_args


def test_readers_know_nodes_and_outputs_by_the_names_of_the_graph() -> None:
    nodes = nodes_of(WHOLE)
    outputs = {value for value in vars(names).values() if isinstance(value, names.Output)}
    assert {(node_id, key) for node_id, key in outputs if key not in nodes[node_id].outputs} == set()
    others = ("_PROPERTY", "_INPUT", "_KEY", "_SPLIT")
    ids = {
        value
        for name, value in vars(names).items()
        if isinstance(value, str) and name.isupper() and not name.endswith(others)
    }
    assert ids - {names.BASELINE_IMPORTER, names.BASELINE_READER, names.PHOTOS_FINGERPRINT} <= nodes.keys()
    assert {names.MODEL_INPUT, names.BASELINE_INPUT} <= nodes[names.EVALUATOR_TEST].inputs.keys()


def test_a_container_finds_the_class_of_every_artifact_type() -> None:
    """A type that is defined beside its component would be unknown to the containers of the others."""
    nodes = nodes_of(WHOLE).values()
    used = {channel.type for node in nodes for channel in [*node.inputs.values(), *node.outputs.values()]}
    register_artifact_types()
    for artifact_type in used:
        schema = compiler_utils.get_artifact_schema(artifact_type)
        message = compiler_utils.pipeline_pb2.ArtifactTypeSchema(instance_schema=schema)
        path = kubeflow_v2_entrypoint_utils._retrieve_class_path(message)
        assert import_utils.import_class_by_path(path) is artifact_type
    for module in pkgutil.walk_packages(components.__path__, "components."):
        importlib.import_module(module.name)
    defined = {cls for cls in types.Artifact.__subclasses__() if cls.__module__.startswith("components.")}
    assert defined == set(own_artifact_types()) == used & defined
    assert len(defined) >= 4
