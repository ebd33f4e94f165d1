"""The whole pipeline on tiny data, run here and as a compiled spec: fresh, cached, and not blessed."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kfp_launcher import LOGS_KEY, RUN_ID, FakeKfp, TaskFailedError
from planted_secrets import SECRETS, secrets_below, secrets_in
from same_model import metrics_of, probabilities_of

from components.modeling.hyperparameters import Hyperparameters
from pipeline.cli.run_options import collect_run_options
from pipeline.config import PUSHED_BASELINE, BlessingConfig, PipelineConfig, RunOptions
from pipeline.kubeflow.cluster import ClusterSettings
from pipeline.kubeflow.collect import collect
from pipeline.kubeflow.compiler import build_spec
from pipeline.local_run import runner as local
from pipeline.local_run.recovery import recovering
from pipeline.presets import build_config
from pipeline.records.explanation import explain
from pipeline.records.store import Run, RunStore, open_store

pytestmark = pytest.mark.slow

_ROOT = "minio://mlpipeline/flowers"
_SECOND_RUN_ID = "22222222-2222-3333-4444-555555555555"

_NODES = {
    "BackboneImporter", "TfdsExampleGen", "latest_blessed_model_resolver", "ImageValidator", "ImageSchemaGen",
    "StatisticsGen", "ExampleValidator", "AnomalyGate", "Transform", "FeatureExtractor", "Trainer",
    "Evaluator.validation", "Evaluator.test", "DriftDetector", "Pusher", "LabelReviewer",
}  # fmt: skip
# It asks ML Metadata anew each time.
_NEVER_CACHED = {"latest_blessed_model_resolver"}


@dataclasses.dataclass
class _Observer:
    finished: list[tuple[str, bool]] = dataclasses.field(default_factory=list)

    def node_started(self, node_id: str, position: int, total: int) -> None:
        assert 1 <= position <= total

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None:
        self.finished.append((node_id, cached))


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, small_photos: Path, tiny_backbone: Path) -> RunOptions:
    return collect_run_options(
        "quickstart",
        output=str(tmp_path_factory.mktemp("output")),
        photos=str(small_photos),
        backbone=str(tiny_backbone),
        epochs=3,
        batch_size=8,
        learning_rate=0.05,
        bless=("loss<=baseline+0.5", "recall[*]>=0.5", "SparseCategoricalAccuracy>=0.5"),
    )


@pytest.fixture(scope="module")
def config(options: RunOptions) -> PipelineConfig:
    return build_config(options)


@pytest.fixture(scope="module")
def fresh_run(config: PipelineConfig) -> tuple[str, _Observer]:
    observer = _Observer()
    return local.run(config, observer), observer


def _run(config: PipelineConfig, run_id: str) -> Run:
    return open_store(config.output).run(run_id)


def _versions(config: PipelineConfig) -> list[str]:
    return sorted(path.name for path in Path(config.serving_model_dir).iterdir() if path.name.isdigit())


def test_a_fresh_run_pushes_a_blessed_model(config: PipelineConfig, fresh_run: tuple[str, _Observer]) -> None:
    run_id, observer = fresh_run
    assert {node for node, _ in observer.finished} == _NODES
    assert not any(cached for _, cached in observer.finished)
    finished = _run(config, run_id)
    assert finished.class_names == ["blue", "green", "red"]
    assert {split: sum(counts.values()) for split, counts in finished.class_counts.items()} == {
        "train": 36, "validation": 18, "test": 18,
    }  # fmt: skip
    assert finished.blessed
    assert (finished.accuracy("test") or 0) >= 0.9
    assert finished.pushed_path == f"{config.serving_model_dir}/{_versions(config)[0]}"
    assert finished.drift
    assert finished.drift.summary == "Drift: skipped (no earlier blessed model)"
    # Without a baseline there is no change to limit.
    assert [(check.metric, check.kind) for check in explain(finished).thresholds] == [
        (metric, "value")
        for metric in ("accuracy", "recall[blue]", "recall[green]", "recall[red]", "SparseCategoricalAccuracy")
    ]


def test_metrics_agree_with_each_other(config: PipelineConfig, fresh_run: tuple[str, _Observer]) -> None:
    """TFMA's accuracy, its confusion matrix and the predictions listed one by one are the same measurement."""
    evaluation = _run(config, fresh_run[0]).executions["Evaluator.test"].output("evaluation")
    assert evaluation is not None
    metrics = json.loads((Path(evaluation.uri) / "metrics.json").read_text())
    lines = (Path(evaluation.uri) / "predictions.jsonl").read_text().splitlines()
    predictions = [json.loads(line) for line in lines]
    correct = sum(max(range(3), key=p["probabilities"].__getitem__) == p["label"] for p in predictions)
    matrix = metrics["confusion_matrix"]
    assert metrics["examples"] == len(predictions) == sum(map(sum, matrix)) == 18
    assert metrics["accuracy"] == pytest.approx(correct / 18)
    assert sum(matrix[i][i] for i in range(3)) == correct
    assert [sum(row) for row in matrix] == [entry["examples"] for entry in metrics["classes"]]
    assert metrics["serving_difference"] < 1e-4


def test_metadata_holds_every_execution_and_its_artifacts(
    config: PipelineConfig, fresh_run: tuple[str, _Observer]
) -> None:
    executions = _run(config, fresh_run[0]).executions
    assert set(executions) == _NODES
    assert {execution.state for execution in executions.values()} == {"COMPLETE"}
    outputs = {
        (node, key): [artifact.type for artifact in artifacts]
        for node, execution in executions.items()
        if node != "latest_blessed_model_resolver"  # it hands on what others made
        for key, artifacts in execution.outputs.items()
    }
    assert outputs == {
        ("BackboneImporter", "model"): ["Model"],
        ("TfdsExampleGen", "examples"): ["Examples"],
        ("ImageValidator", "valid_examples"): ["Examples"],
        ("ImageValidator", "quarantine"): ["flowers.Quarantine"],
        ("ImageSchemaGen", "schema"): ["Schema"],
        ("StatisticsGen", "statistics"): ["ExampleStatistics"],
        ("ExampleValidator", "anomalies"): ["ExampleAnomalies"],
        ("Transform", "transform_graph"): ["TransformGraph"],
        ("FeatureExtractor", "features"): ["Examples"],
        ("Trainer", "model"): ["Model"],
        ("Trainer", "model_run"): ["ModelRun"],
        ("Evaluator.validation", "evaluation"): ["ModelEvaluation"],
        ("Evaluator.validation", "blessing"): ["ModelBlessing"],
        ("Evaluator.test", "evaluation"): ["ModelEvaluation"],
        ("Evaluator.test", "blessing"): ["ModelBlessing"],
        ("Pusher", "pushed_model"): ["PushedModel"],
        ("DriftDetector", "drift"): ["flowers.Drift"],
        ("LabelReviewer", "label_review"): ["flowers.LabelReview"],
    }
    examples = executions["TfdsExampleGen"].output("examples")
    assert examples is not None
    assert json.loads(str(examples.properties["split_counts"])) == {"train": 36, "validation": 18, "test": 18}
    features = executions["FeatureExtractor"].output("features")
    assert features is not None
    assert features.properties["backbone_digest"] == config.backbone.digest


def test_the_pushed_model_classifies_in_a_fresh_process(
    config: PipelineConfig, fresh_run: tuple[str, _Observer], encode_image: Callable[..., bytes], tmp_path: Path
) -> None:
    """TensorFlow alone is enough to serve the model: nothing of this project is imported."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encode_image((205, 45, 40), seed=77))
    code = (
        "import sys, tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "photo = open(sys.argv[2], 'rb').read()\n"
        "out = model.signatures['serving_default'](image_bytes=tf.constant([photo]))\n"
        "print(out['label'].numpy()[0].decode())\n"
    )
    command = [sys.executable, "-c", code, f"{config.serving_model_dir}/{_versions(config)[-1]}", str(photo)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "red"


@pytest.fixture(scope="module")
def on_kubeflow(
    config: PipelineConfig, fresh_run: tuple[str, _Observer], tmp_path_factory: pytest.TempPathFactory
) -> tuple[FakeKfp, PipelineConfig]:
    """The compiled spec, executed with KFP's launcher imitated, and its configuration; nothing had been pushed."""
    folder = tmp_path_factory.mktemp("kubeflow")
    data = dataclasses.replace(config.data, fingerprint_per_run=True)
    config = dataclasses.replace(config, data=data, baseline=PUSHED_BASELINE, work_root=str(folder / "work"))
    # Compiled for one epoch and no blessing: what is right arrives as run-time parameters.
    learns_nothing = dataclasses.replace(config.hyperparameters, epochs=1, learning_rate=1e-5)
    blesses_nothing = dataclasses.replace(config.blessing, min_accuracy=1.0)
    compiled_for = dataclasses.replace(config, hyperparameters=learns_nothing, blessing=blesses_nothing)
    spec, _ = build_spec(compiled_for, ClusterSettings("image", _ROOT, "/nowhere"))
    parameters = {
        "epochs": config.hyperparameters.epochs,
        "learning_rate": config.hyperparameters.learning_rate,
        "min_accuracy": config.blessing.min_accuracy,
        "serving_model_dir": str(folder / "serving_model"),
    }
    kfp = FakeKfp(spec, folder / "kfp", _ROOT, parameters, environment=SECRETS)
    kfp.run()
    return kfp, config


def _collected(kfp: FakeKfp, folder: Path) -> RunStore:
    collect(kfp.bucket, folder / "metadata.sqlite")
    return open_store(str(folder))


def test_the_compiled_spec_runs_to_the_same_pushed_model(
    config: PipelineConfig,
    fresh_run: tuple[str, _Observer],
    on_kubeflow: tuple[FakeKfp, PipelineConfig],
    tmp_path: Path,
) -> None:
    kfp, _ = on_kubeflow
    there, here = _collected(kfp, tmp_path).run(RUN_ID), _run(config, fresh_run[0])
    assert there.blessed
    assert there.class_counts == here.class_counts
    assert metrics_of(there) == pytest.approx(metrics_of(here), abs=1e-5)
    serving_model = Path(kfp.parameters["serving_model_dir"])
    [version] = (path for path in serving_model.iterdir() if path.name.isdigit())
    assert there.pushed_path == str(version)
    assert probabilities_of(version) == pytest.approx(probabilities_of(Path(str(here.pushed_path))), abs=1e-5)
    records = {task: kfp.blob(outputs["execution_record"]["uri"]) for task, outputs in kfp.outputs.items()}
    evaluator = json.loads((records["evaluator-test"] / "execution.json").read_text())
    [blessing] = evaluator["outputs"]["blessing"]
    assert blessing["uri"] == kfp.outputs["evaluator-test"]["blessing"]["uri"]
    assert blessing["properties"]["current_model"] == kfp.outputs["trainer"]["model"]["uri"]
    assert str(kfp.folder) not in json.dumps([evaluator["inputs"], evaluator["outputs"]])
    # What the containers printed is there as well: the launcher publishes it.
    for place in (kfp.folder, tmp_path, serving_model):
        assert secrets_below(place) == {}


def test_the_next_run_on_kubeflow_is_compared_with_what_was_pushed(
    on_kubeflow: tuple[FakeKfp, PipelineConfig], tmp_path: Path
) -> None:
    first, _ = on_kubeflow
    trained_anew = ("trainer", "baseline-reader", "evaluator-validation", "evaluator-test", "drift-detector", "pusher")
    cached = {task: outputs for task, outputs in first.outputs.items() if task not in trained_anew}
    parameters = {**first.parameters, "batch_size": 4}
    second = dataclasses.replace(first, parameters=parameters, outputs=cached, run_id=_SECOND_RUN_ID)
    second.run()

    store = _collected(second, tmp_path)
    runs = [store.run(run_id) for run_id in (RUN_ID, _SECOND_RUN_ID)]
    before, after = (run.metrics("test") for run in runs)
    assert before
    assert before.baseline is None
    [log] = first.pod("evaluator-test").rglob(f"{LOGS_KEY}-0")
    assert "there is no baseline, and thresholds on a change do not count" in log.read_text()
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


def test_a_component_that_fails_on_kubeflow_says_why_in_one_line(
    on_kubeflow: tuple[FakeKfp, PipelineConfig], tmp_path: Path
) -> None:
    """In a new Python: the other pods are forks."""
    spec, _ = build_spec(on_kubeflow[1], ClusterSettings("image", _ROOT, "/nowhere"))
    tasks = spec["root"]["dag"]["tasks"]
    for name in set(tasks) - {"backbone-importer"}:
        del tasks[name]
    with pytest.raises(TaskFailedError, match="error: unknown backbone '/nowhere'") as failure:
        FakeKfp(spec, tmp_path / "kfp", parameters={"backbone": "/nowhere"}, environment=SECRETS, cold=True).run()
    assert "Traceback" not in str(failure.value)
    assert secrets_in(str(failure.value)) == []
    assert secrets_below(tmp_path / "kfp") == {}


def test_an_identical_run_is_answered_from_the_cache(config: PipelineConfig, fresh_run: tuple[str, _Observer]) -> None:
    versions = _versions(config)
    observer = _Observer()
    run_id = local.run(config, observer)
    assert {node for node, cached in observer.finished if not cached} == _NEVER_CACHED
    assert _versions(config) == versions
    finished = _run(config, run_id)
    assert finished.blessed
    assert finished.metrics("test") == _run(config, fresh_run[0]).metrics("test")


def test_what_has_gone_from_the_disk_is_made_anew(config: PipelineConfig, fresh_run: tuple[str, _Observer]) -> None:
    shutil.rmtree(config.serving_model_dir)
    statistics = _run(config, fresh_run[0]).executions["StatisticsGen"].output("statistics")
    assert statistics is not None
    (statistics.path / "Split-test" / "FeatureStats.pb").unlink()
    observer = _Observer()
    with recovering(config):
        finished = _run(config, local.run(config, observer))
    recomputed = {node for node, cached in observer.finished if not cached}
    assert {"StatisticsGen", "Pusher"} <= recomputed
    assert not {"TfdsExampleGen", "FeatureExtractor"} & recomputed
    assert finished.pushed_path is not None
    assert (Path(finished.pushed_path) / "saved_model.pb").is_file()


def test_a_model_below_its_bound_is_not_pushed(options: RunOptions, fresh_run: tuple[str, _Observer]) -> None:
    """Another head, hardly trained, against a threshold that it cannot reach; ingestion and features stay cached."""
    hyperparameters = Hyperparameters(epochs=1, learning_rate=1e-6, hidden_units=4, batch_size=8)
    thresholds = ("loss<=baseline-0.01", "loss>=0", "precision[red]>=baseline+0.01")
    blessing = BlessingConfig(min_accuracy=0.99, bless=thresholds)
    config = build_config(dataclasses.replace(options, hyperparameters=hyperparameters, blessing=blessing))
    versions = _versions(config)
    observer = _Observer()
    finished = _run(config, local.run(config, observer))
    recomputed = {node for node, cached in observer.finished if not cached}
    # Now there is a baseline for drift.
    trained_anew = {"Trainer", "Evaluator.validation", "Evaluator.test", "DriftDetector", "Pusher"}
    assert recomputed == _NEVER_CACHED | trained_anew
    assert finished.drift
    assert finished.drift.summary.startswith("Drift: none in labels, longer sides")
    assert not finished.blessed
    assert finished.pushed_path is None
    assert _versions(config) == versions
    checks = {(check.metric, check.kind): check for check in explain(finished).thresholds}
    loss = checks["loss", "change"]
    assert loss.baseline == pytest.approx(_run(config, fresh_run[0]).metrics("test").loss, abs=1e-6)
    assert not loss.passed
    assert checks["loss", "value"].passed
    assert not checks["precision[red]", "change"].passed
    reasons = explain(finished).misses
    assert any("below the required 0.9900" in reason for reason in reasons)
    assert any("below the latest blessed model's" in reason for reason in reasons)
    assert any(reason.endswith("the required drop is 0.0100") for reason in reasons)


class _LosingValidationFeatures(_Observer):
    """Takes away what Evaluator.validation reads, just before it starts."""

    def __init__(self, config: PipelineConfig):
        super().__init__()
        self._features = Path(config.pipeline_root) / "FeatureExtractor" / "features"

    def node_started(self, node_id: str, position: int, total: int) -> None:
        if node_id == "Evaluator.validation":
            for features in self._features.glob("*/Split-validation"):
                features.rename(features.with_name("lost"))

    def give_back(self) -> None:
        for features in self._features.glob("*/lost"):
            features.rename(features.with_name("Split-validation"))


def test_nothing_is_pushed_when_the_validation_fails(
    options: RunOptions, config: PipelineConfig, fresh_run: tuple[str, _Observer]
) -> None:
    """Another head, so that its evaluation is not answered from the cache."""
    other_head = dataclasses.replace(options, hyperparameters=Hyperparameters(epochs=1, hidden_units=5, batch_size=8))
    versions = _versions(config)
    observer = _LosingValidationFeatures(config)
    with pytest.raises(Exception, match="not among the features"):
        local.run(build_config(other_head), observer)
    observer.give_back()
    executions = open_store(config.output).runs[-1].executions
    assert executions["Evaluator.validation"].state == "FAILED"
    assert "Pusher" not in executions
    assert _versions(config) == versions
