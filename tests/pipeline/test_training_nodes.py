"""Tests of how search, training and fine-tuning are wired."""

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from components.common.errors import UserError
from components.modeling.hyperparameters import FineTuning
from pipeline.cli.main import cli
from pipeline.cli.run_options import collect_run_options
from pipeline.config import BackboneConfig, DataConfig, PipelineConfig
from pipeline.graph import create_pipeline
from pipeline.presets import build_config

_CONFIG = PipelineConfig(
    name="flowers",
    output="/tmp/flowers",
    data=DataConfig(class_names=("daisy", "roses"), fingerprint="1", dataset="synthetic_flowers"),
    backbone=BackboneConfig("efficientnet_lite0", (224, 224), digest="d1"),
)


def _nodes(config: PipelineConfig) -> dict[str, object]:
    return {component.id: component for component in create_pipeline(config).components}


def _producer(node: object, key: str) -> str:
    return node.inputs[key].producer_component_id


def test_neither_is_there_unless_asked_for() -> None:
    nodes = _nodes(_CONFIG)
    assert "Tuner" not in nodes
    assert "Trainer.fine_tuning" not in nodes
    assert "hyperparameters" not in nodes["Trainer"].inputs
    assert _producer(nodes["Pusher"], "model") == "Trainer"


def test_photos_are_read_where_they_are_stored_once() -> None:
    nodes = _nodes(dataclasses.replace(_CONFIG, fine_tuning=FineTuning()))
    for node_id in ("Trainer", "Evaluator.validation", "Evaluator.test"):
        assert _producer(nodes[node_id], "examples") == "FeatureExtractor"
        assert _producer(nodes[node_id], "photos") == "ImageValidator"


def test_the_best_hyperparameters_flow_to_the_trainer() -> None:
    nodes = _nodes(dataclasses.replace(_CONFIG, tuning_trials=7))
    assert _producer(nodes["Tuner"], "examples") == "FeatureExtractor"
    assert _producer(nodes["Trainer"], "hyperparameters") == "Tuner"
    assert json.loads(nodes["Tuner"].exec_properties["custom_config"])["trials"] == 7


def test_search_and_training_keep_to_the_same_memory() -> None:
    nodes = _nodes(dataclasses.replace(_CONFIG, tuning_trials=7, feature_memory=5))
    for node_id in ("Tuner", "Trainer"):
        assert json.loads(nodes[node_id].exec_properties["custom_config"])["feature_memory"] == 5


def test_fine_tuning_goes_on_from_the_trained_head_and_is_what_is_judged() -> None:
    nodes = _nodes(dataclasses.replace(_CONFIG, fine_tuning=FineTuning(layers=3)))
    fine_tuner = nodes["Trainer.fine_tuning"]
    assert _producer(fine_tuner, "examples") == "ImageValidator"
    assert _producer(fine_tuner, "base_model") == "Trainer"
    assert json.loads(fine_tuner.exec_properties["custom_config"])["fine_tuning"]["layers"] == 3
    for node_id in ("Evaluator.validation", "Evaluator.test", "Pusher"):
        assert _producer(nodes[node_id], "model") == "Trainer.fine_tuning"


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
    plain, more = _nodes(_CONFIG), _nodes(dataclasses.replace(_CONFIG, **option))
    for node_id in ("FeatureExtractor", "Trainer"):
        assert plain[node_id].exec_properties == more[node_id].exec_properties
