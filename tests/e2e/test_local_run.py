"""The whole pipeline on tiny data, through the command line's own functions: fresh, cached, and not blessed."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.modeling.hyperparameters import Hyperparameters
from pipeline.cli.run_options import collect_run_options
from pipeline.config import BlessingConfig, PipelineConfig, RunOptions
from pipeline.local_run import runner as local
from pipeline.local_run.recovery import recovering
from pipeline.presets import build_config
from pipeline.records.explanation import explain
from pipeline.records.store import Run, open_store

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


def test_a_baseline_with_other_classes_is_none(
    options: RunOptions, config: PipelineConfig, fresh_run: tuple[str, _Observer], small_photos: Path, tmp_path: Path
) -> None:
    """Two configurations of one TFDS dataset have one pipeline, and may have other classes."""
    for name in ("green", "red"):
        shutil.copytree(small_photos / name, tmp_path / "photos" / name)
    photos = dataclasses.replace(options.data, photos=str(tmp_path / "photos"))
    others = build_config(dataclasses.replace(options, data=photos, blessing=BlessingConfig()))
    run = _run(config, local.run(dataclasses.replace(others, name=config.name), _Observer()))
    assert run.blessed
    explanation = explain(run)
    assert [check.kind for check in explanation.thresholds] == ["value"]
    assert explanation.baseline_run is None
    assert run.drift
    assert "labels (blue 33.3% before, 0.0% now)" in run.drift.summary
    assert explanation.ignored_baseline_classes == ["blue", "green", "red"]


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
