"""Trainer's executor: what the training function is told."""

import json
from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from components.trainer.component import Executor


def run_fn(fn_args: FnArgs) -> None:
    """Writes down what it was given."""
    model = Path(fn_args.serving_model_dir)
    model.mkdir(parents=True)
    (model / "seen.json").write_text(json.dumps([fn_args.eval_files, fn_args.custom_config]))


def test_the_training_function_is_told_where_the_photos_are(tmp_path: Path) -> None:
    inputs, outputs = {}, {"model": [standard_artifacts.Model()], "model_run": [standard_artifacts.ModelRun()]}
    for name in ("examples", "photos"):
        artifact = standard_artifacts.Examples()
        artifact.split_names = '["train", "validation"]'
        inputs[name] = [artifact]
    for name, (artifact,) in {**inputs, **outputs}.items():
        artifact.uri = str(tmp_path / name)
    parameters = {
        "run_fn": f"{__name__}.run_fn",
        "train_args": '{"splits": ["train"]}',
        "eval_args": '{"splits": ["validation"]}',
        "custom_config": json_utils.dumps({"epochs": 3}),
    }
    Executor().Do(inputs, outputs, parameters)
    features, config = json.loads((tmp_path / "model" / "Format-Serving" / "seen.json").read_text())
    assert features == [f"{tmp_path}/examples/Split-validation/*"]
    assert config == {"epochs": 3, "validation_photos": [f"{tmp_path}/photos/Split-validation/*"]}
