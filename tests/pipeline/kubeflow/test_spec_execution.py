"""The compiled spec, executed for real with KFP's launcher imitated, gives what a local run gives.

Thirteen processes that each import TFX: about three minutes on two cores.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from kfp_launcher import RUN_ID, FakeKfp, TaskFailedError
from planted_secrets import SECRETS, secrets_below, secrets_in

from components.modeling.hyperparameters import Hyperparameters
from pipeline.config import NO_BASELINE, BackboneConfig, BlessingConfig, DataConfig, PipelineConfig
from pipeline.history.run import Run
from pipeline.history.store import open_store
from pipeline.kubeflow.collect import collect
from pipeline.kubeflow.compile import build_spec
from pipeline.kubeflow.settings import ClusterSettings
from pipeline.local_run import runner as local

ROOT = "minio://mlpipeline/flowers"


class _Quiet:
    """An observer that says nothing."""

    def node_started(self, node_id: str, position: int, total: int) -> None: ...

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None: ...


@pytest.fixture
def config(tmp_path: Path, photo_folder: Path, tiny_backbone: Path) -> PipelineConfig:
    from components.example_gen.builders import DataSource, describe_source

    data_dir = str(tmp_path / "datasets")
    description = describe_source(DataSource(photos=str(photo_folder), data_dir=data_dir))
    return PipelineConfig(
        name="my-photos",
        output=str(tmp_path / "local"),
        data=DataConfig(
            class_names=description.class_names,
            fingerprint=description.fingerprint,
            photos=str(photo_folder),
            data_dir=data_dir,
        ),
        backbone=BackboneConfig(name=str(tiny_backbone), image_size=(16, 16)),
        hyperparameters=Hyperparameters(hidden_units=16, epochs=8, learning_rate=0.03, batch_size=8),
        blessing=BlessingConfig(min_accuracy=0.6),
        baseline=NO_BASELINE,
        work_root=str(tmp_path / "work"),
    )


@pytest.mark.slow
def test_the_spec_runs_to_the_same_pushed_model_as_a_local_run(tmp_path: Path, config: PipelineConfig) -> None:
    # Compiled for one epoch and no blessing: what is right arrives as run-time parameters.
    compiled_for = dataclasses.replace(
        config,
        hyperparameters=dataclasses.replace(config.hyperparameters, epochs=1, learning_rate=1e-5),
        blessing=BlessingConfig(min_accuracy=1.0),
    )
    spec, _ = build_spec(compiled_for, ClusterSettings("image", ROOT, "/nowhere"))
    serving_model_dir = tmp_path / "serving_model"
    kfp = FakeKfp(
        spec,
        tmp_path / "kfp",
        ROOT,
        {"epochs": 8, "learning_rate": 0.03, "min_accuracy": 0.6, "serving_model_dir": str(serving_model_dir)},
        environment=SECRETS,
    )
    kfp.run()

    collect(kfp.bucket, tmp_path / "collected" / "metadata.sqlite")
    on_kubeflow = open_store(str(tmp_path / "collected")).run(RUN_ID)
    (Path(config.output)).mkdir()
    run_id = local.run(config, _Quiet())
    locally = open_store(config.output).run(run_id)

    assert on_kubeflow.blessed
    assert locally.blessed
    assert on_kubeflow.class_counts == locally.class_counts
    assert _metrics(on_kubeflow) == pytest.approx(_metrics(locally), abs=1e-5)
    [version] = serving_model_dir.iterdir()
    assert on_kubeflow.pushed_path == version
    assert _probabilities(version) == pytest.approx(_probabilities(Path(str(locally.pushed_path))), abs=1e-5)
    _check_records(kfp)
    # What the containers printed is there as well: the launcher publishes it.
    for folder in (kfp.folder, tmp_path / "collected", serving_model_dir):
        assert secrets_below(folder) == {}


def test_a_failing_component_says_why_in_one_line(tmp_path: Path, config: PipelineConfig) -> None:
    spec, _ = build_spec(config, ClusterSettings("image", ROOT, "/nowhere"))
    tasks = spec["root"]["dag"]["tasks"]
    for name in set(tasks) - {"backbone-importer"}:
        del tasks[name]

    with pytest.raises(TaskFailedError, match="error: unknown backbone '/nowhere'") as failure:
        FakeKfp(spec, tmp_path / "kfp", parameters={"backbone": "/nowhere"}, environment=SECRETS).run()

    assert "Traceback" not in str(failure.value)
    assert secrets_in(str(failure.value)) == []
    assert secrets_below(tmp_path / "kfp") == {}


def _metrics(run: Run) -> dict[str, float]:
    found = {}
    for split in ("validation", "test"):
        metrics = run.metrics(split)
        assert metrics
        found |= {f"{split} accuracy": metrics.accuracy, f"{split} loss": metrics.loss}
        for entry in metrics.classes:
            values = dataclasses.asdict(entry)
            name = values.pop("name")
            found |= {f"{split} {name} {metric}": value for metric, value in values.items()}
    return found


def _probabilities(model_path: Path) -> Any:
    import numpy as np
    import tensorflow as tf

    pictures = [np.full((20, 30, 3), color, np.uint8) for color in ((40, 60, 200), (40, 190, 60), (200, 40, 50))]
    jpegs = tf.stack([tf.io.encode_jpeg(picture) for picture in pictures])
    model = tf.saved_model.load(str(model_path))
    return model.signatures["serving_default"](image_bytes=jpegs)["probabilities"].numpy()


def _check_records(kfp: FakeKfp) -> None:
    records = {task: kfp.blob(outputs["execution_record"]["uri"]) for task, outputs in kfp.outputs.items()}
    evaluator = json.loads((records["evaluator-test"] / "execution.json").read_text())
    [blessing] = evaluator["outputs"]["blessing"]

    assert blessing["uri"] == kfp.outputs["evaluator-test"]["blessing"]["uri"]
    assert blessing["properties"]["current_model"] == kfp.outputs["trainer"]["model"]["uri"]
    assert str(kfp.folder) not in json.dumps([evaluator["inputs"], evaluator["outputs"]])
