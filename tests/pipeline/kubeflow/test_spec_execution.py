"""The compiled spec, executed for real with KFP's launcher imitated, gives what a local run gives.

Each pod is a process of its own, and one of them a new Python.
"""

import dataclasses
import json
from pathlib import Path

import pytest
from kfp_launcher import LOGS_KEY, RUN_ID, FakeKfp, TaskFailedError
from planted_secrets import SECRETS, secrets_below, secrets_in
from same_model import metrics_of, probabilities_of

from components.modeling.hyperparameters import Hyperparameters
from pipeline.config import (
    PUSHED_BASELINE,
    RESOLVER_BASELINE,
    BackboneConfig,
    BlessingConfig,
    DataConfig,
    PipelineConfig,
)
from pipeline.kubeflow.cluster import ClusterSettings
from pipeline.kubeflow.collect import collect
from pipeline.kubeflow.compiler import build_spec
from pipeline.local_run import runner as local
from pipeline.records.explanation import explain
from pipeline.records.store import RunStore, open_store

ROOT = "minio://mlpipeline/flowers"
SECOND_RUN_ID = "22222222-2222-3333-4444-555555555555"


class _Quiet:
    """An observer that says nothing."""

    def node_started(self, node_id: str, position: int, total: int) -> None: ...

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None: ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def config(folder: Path, small_photos: Path, tiny_backbone: Path) -> PipelineConfig:
    from components.example_gen.data_source import describe_source
    from components.example_gen.options import DataSource

    data_dir = str(folder / "datasets")
    description = describe_source(DataSource(photos=str(small_photos), data_dir=data_dir))
    return PipelineConfig(
        name="my-photos",
        output=str(folder / "local"),
        data=DataConfig(
            class_names=description.class_names,
            fingerprint=description.fingerprint,
            photos=str(small_photos),
            data_dir=data_dir,
            fingerprint_per_run=True,
        ),
        backbone=BackboneConfig(name=str(tiny_backbone), image_size=(16, 16)),
        hyperparameters=Hyperparameters(hidden_units=16, epochs=8, learning_rate=0.03, batch_size=8),
        blessing=BlessingConfig(min_accuracy=0.6),
        baseline=PUSHED_BASELINE,
        work_root=str(folder / "work"),
    )


@pytest.fixture(scope="module")
def first(folder: Path, config: PipelineConfig) -> FakeKfp:
    """A run on Kubeflow, before which nothing had been pushed."""
    # Compiled for one epoch and no blessing: what is right arrives as run-time parameters.
    compiled_for = dataclasses.replace(
        config,
        hyperparameters=dataclasses.replace(config.hyperparameters, epochs=1, learning_rate=1e-5),
        blessing=BlessingConfig(min_accuracy=1.0),
    )
    spec, _ = build_spec(compiled_for, ClusterSettings("image", ROOT, "/nowhere"))
    serving_model_dir = str(folder / "serving_model")
    kfp = FakeKfp(
        spec,
        folder / "kfp",
        ROOT,
        {"epochs": 8, "learning_rate": 0.03, "min_accuracy": 0.6, "serving_model_dir": serving_model_dir},
        environment=SECRETS,
    )
    kfp.run()
    return kfp


@pytest.mark.slow
def test_the_spec_runs_to_the_same_pushed_model_as_a_local_run(
    folder: Path, config: PipelineConfig, first: FakeKfp
) -> None:
    on_kubeflow = _collected(first, folder / "collected").run(RUN_ID)
    Path(config.output).mkdir()
    data = dataclasses.replace(config.data, fingerprint_per_run=False)
    run_id = local.run(dataclasses.replace(config, baseline=RESOLVER_BASELINE, data=data), _Quiet())
    locally = open_store(config.output).run(run_id)

    assert on_kubeflow.blessed
    assert locally.blessed
    assert on_kubeflow.class_counts == locally.class_counts
    assert metrics_of(on_kubeflow) == pytest.approx(metrics_of(locally), abs=1e-5)
    [version] = (path for path in (folder / "serving_model").iterdir() if path.name.isdigit())
    assert on_kubeflow.pushed_path == str(version)
    assert probabilities_of(version) == pytest.approx(probabilities_of(Path(str(locally.pushed_path))), abs=1e-5)
    _check_records(first)
    # What the containers printed is there as well: the launcher publishes it.
    for place in (first.folder, folder / "collected", folder / "serving_model"):
        assert secrets_below(place) == {}


@pytest.mark.slow
def test_the_next_run_is_compared_with_what_was_pushed(folder: Path, first: FakeKfp) -> None:
    trained_anew = ("trainer", "baseline-reader", "evaluator-validation", "evaluator-test", "drift-detector", "pusher")
    cached = {task: outputs for task, outputs in first.outputs.items() if task not in trained_anew}
    parameters = {**first.parameters, "batch_size": 4}
    second = dataclasses.replace(first, parameters=parameters, outputs=cached, run_id=SECOND_RUN_ID)
    second.run()

    store = _collected(second, folder / "both")
    runs = [store.run(run_id) for run_id in (RUN_ID, SECOND_RUN_ID)]
    before, after = (run.metrics("test") for run in runs)
    assert before
    assert before.baseline is None
    assert "there is no baseline, and thresholds on a change do not count" in _log(first, "evaluator-test")
    assert after
    assert after.baseline
    assert after.baseline.confusion_matrix == before.confusion_matrix
    # Of features that the pushed model computes anew, in float32.
    assert after.baseline.loss == pytest.approx(before.loss, rel=1e-4)
    assert "change" in {result.kind for result in after.thresholds}
    assert [explain(run).baseline_run for run in runs] == [None, RUN_ID]
    drifts = [run.drift.summary if run.drift else "" for run in runs]
    assert drifts[0] == "Drift: skipped (no earlier blessed model)"
    assert drifts[1].startswith("Drift: none in labels, longer sides")


def _collected(kfp: FakeKfp, folder: Path) -> RunStore:
    collect(kfp.bucket, folder / "metadata.sqlite")
    return open_store(str(folder))


def _log(kfp: FakeKfp, task: str) -> str:
    [log] = kfp.pod(task).rglob(f"{LOGS_KEY}-0")
    return log.read_text()


@pytest.mark.slow
def test_a_failing_component_says_why_in_one_line(tmp_path: Path, config: PipelineConfig) -> None:
    spec, _ = build_spec(config, ClusterSettings("image", ROOT, "/nowhere"))
    tasks = spec["root"]["dag"]["tasks"]
    for name in set(tasks) - {"backbone-importer"}:
        del tasks[name]

    with pytest.raises(TaskFailedError, match="error: unknown backbone '/nowhere'") as failure:
        FakeKfp(spec, tmp_path / "kfp", parameters={"backbone": "/nowhere"}, environment=SECRETS, cold=True).run()

    assert "Traceback" not in str(failure.value)
    assert secrets_in(str(failure.value)) == []
    assert secrets_below(tmp_path / "kfp") == {}


def _check_records(kfp: FakeKfp) -> None:
    records = {task: kfp.blob(outputs["execution_record"]["uri"]) for task, outputs in kfp.outputs.items()}
    evaluator = json.loads((records["evaluator-test"] / "execution.json").read_text())
    [blessing] = evaluator["outputs"]["blessing"]

    assert blessing["uri"] == kfp.outputs["evaluator-test"]["blessing"]["uri"]
    assert blessing["properties"]["current_model"] == kfp.outputs["trainer"]["model"]["uri"]
    assert str(kfp.folder) not in json.dumps([evaluator["inputs"], evaluator["outputs"]])
