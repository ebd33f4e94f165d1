"""Values that arrive beside the execution parameters."""

import json

import pytest
from google.protobuf import json_format

from pipeline.config import BlessingConfig
from pipeline.kubeflow.runtime_parameters import apply_overrides


def test_hyperparameters_keep_their_type_and_leave_the_others() -> None:
    config = json.dumps({"hyperparameters": {"epochs": 10, "learning_rate": 0.001, "seed": 0}, "work_root": "/tmp"})

    # KFP knows one kind of number.
    properties = apply_overrides("Trainer", {"custom_config": config, "override_epochs": 3.0})

    assert list(properties) == ["custom_config"]
    epochs = json.loads(properties["custom_config"])["hyperparameters"]["epochs"]
    assert (epochs, type(epochs)) == (3, int)
    assert json.loads(properties["custom_config"])["hyperparameters"]["learning_rate"] == 0.001


def test_thresholds_reach_tfma() -> None:
    from tensorflow_model_analysis.proto import config_pb2
    from tfx.utils import proto_utils

    from pipeline.blessing import build_eval_config

    text = proto_utils.proto_to_json(build_eval_config(BlessingConfig()))
    properties = apply_overrides(
        "Evaluator.test", {"eval_config": text, "override_min_accuracy": 0.55, "override_max_accuracy_drop": 0.1}
    )

    config = json_format.Parse(properties["eval_config"], config_pb2.EvalConfig())
    assert config == build_eval_config(BlessingConfig(min_accuracy=0.55, max_accuracy_drop=0.1))


def test_image_size_and_serving_folder() -> None:
    transform = apply_overrides("Transform", {"custom_config": "{}", "override_image_size": "[224, 224]"})
    pusher = apply_overrides(
        "Pusher",
        {"push_destination": '{"filesystem": {"base_directory": "/a"}}', "override_serving_model_dir": "s3://b/c"},
    )

    assert json.loads(transform["custom_config"]) == {"image_size": [224, 224]}
    assert json.loads(pusher["push_destination"]) == {"filesystem": {"base_directory": "s3://b/c"}}


def test_a_parameter_of_another_component_is_an_error() -> None:
    with pytest.raises(KeyError):
        apply_overrides("Pusher", {"override_epochs": 3})
