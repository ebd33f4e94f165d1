"""Tests of Tuner's executor, through TFX's own search and artifacts."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tf_examples import examples_artifact, feature_example
from tfx import types
from tfx.proto import trainer_pb2
from tfx.types import standard_artifacts
from tfx.utils import json_utils, proto_utils

from components.contracts.schema import build_schema
from components.modeling.hyperparameters import Hyperparameters
from components.tuner.component import Executor


def _artifact(artifact_type: type[types.Artifact], path: Path) -> types.Artifact:
    artifact = artifact_type()
    artifact.uri = str(path)
    path.mkdir(parents=True)
    return artifact


@pytest.mark.slow
def test_the_best_values_are_in_the_metadata(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    records = [feature_example(rng.normal(0, 0.5, 4) + np.eye(2, 4)[index % 2], index % 2) for index in range(40)]
    features = examples_artifact(tmp_path / "features", {"train": records[:20], "validation": records[20:]})
    schema = _artifact(standard_artifacts.Schema, tmp_path / "schema")
    (tmp_path / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(build_schema(["daisy", "roses"])))
    best = _artifact(standard_artifacts.HyperParameters, tmp_path / "best")
    results = _artifact(standard_artifacts.TunerResults, tmp_path / "results")
    hyperparameters = dataclasses.asdict(Hyperparameters(hidden_units=6, epochs=1, seed=1))
    context = Executor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
    Executor(context).Do(
        {"examples": [features], "schema": [schema]},
        {"best_hyperparameters": [best], "tuner_results": [results]},
        {
            "tuner_fn": "components.tuner.search.tuner_fn",
            "train_args": proto_utils.proto_to_json(trainer_pb2.TrainArgs(splits=["train"])),
            "eval_args": proto_utils.proto_to_json(trainer_pb2.EvalArgs(splits=["validation"])),
            "custom_config": json_utils.dumps(
                {
                    "hyperparameters": hyperparameters,
                    "trials": 2,
                    "feature_memory": 10**9,
                    "work_root": str(tmp_path / "work"),
                }
            ),
        },
    )
    config = json.loads((tmp_path / "best" / "best_hyperparameters.txt").read_text())
    trials = json.loads((tmp_path / "results" / "tuner_results.json").read_text())
    values = json.loads(best.get_string_custom_property("tuned_values"))
    assert set(values) == {"hidden_units", "learning_rate", "batch_size"}
    assert values == config["values"]
    assert best.get_int_custom_property("trials") == len(trials) == 2
    assert best.get_float_custom_property("validation_accuracy") == max(trial["score"] for trial in trials)
