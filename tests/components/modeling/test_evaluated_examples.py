"""Evaluator on features without photos: what it measures, and when it goes by the photos instead."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tf_examples import examples_artifact, feature_example, raw_example
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts
from tfx.utils import json_utils, proto_utils

from components.common.errors import UserError
from components.evaluator.executor import Executor
from components.photos.decode import decode_image
from pipeline.beam_runners.beam_args import beam_args
from pipeline.blessing import build_eval_config
from pipeline.config import BlessingConfig

_CLASSES = ["blue", "green", "red"]
_COUNT = 40
Evaluate = Callable[..., tuple[dict[str, Any], np.ndarray]]


class _Data:
    """Photos, and what a model makes of them in float32 by its signature."""

    def __init__(self, folder: Path, encode_image: Callable[..., bytes], backbone: str) -> None:
        self._folder = folder
        self._photos = [encode_image((5 * i, 120, 250 - 5 * i), size=(16, 16), seed=i) for i in range(_COUNT)]
        self._vectors = tf.saved_model.load(backbone)(tf.stack([decode_image(photo, 16, 16) for photo in self._photos]))
        raw = [raw_example(photo, i % 3, str(i).encode()) for i, photo in enumerate(self._photos)]
        self.raw = examples_artifact(folder / "raw", {"test": raw}, _CLASSES)

    def features(self, scale: float = 1.0) -> standard_artifacts.Examples:
        rows = [
            feature_example(vector * scale, i % 3, photo, str(i).encode())
            for i, (vector, photo) in enumerate(zip(self._vectors.numpy(), self._photos, strict=True))
        ]
        return examples_artifact(
            self._folder / f"features{scale}", {"test": rows[::-1]}, _CLASSES, backbone_digest="d1"
        )

    def probabilities(self, model: str) -> np.ndarray:
        serve = tf.saved_model.load(model).signatures["serving_default"]
        answers: np.ndarray = serve(image_bytes=tf.constant(self._photos))["probabilities"].numpy()
        return answers

    def accuracy(self, model: str) -> float:
        return float(np.mean(self.probabilities(model).argmax(axis=1) == np.arange(_COUNT) % 3))


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes], trainable_backbone: str
) -> _Data:
    return _Data(tmp_path_factory.mktemp("data"), encode_image, trainable_backbone)


def _model(saved_model: str) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.uri = str(Path(saved_model).parent)
    return model


@pytest.fixture
def evaluate(data: _Data, tmp_path: Path) -> Evaluate:
    """A function that returns the metrics, and the probabilities by the number of the photo."""

    def run(
        model: str, baseline: str = "", scale: float = 1.0, args: tuple[str, ...] = beam_args("direct")
    ) -> tuple[dict[str, Any], np.ndarray]:
        inputs = {"examples": [data.features(scale)], "photos": [data.raw], "model": [_model(model)]}
        if baseline:
            inputs["baseline_model"] = [_model(baseline)]
        outputs = {"evaluation": standard_artifacts.ModelEvaluation(), "blessing": standard_artifacts.ModelBlessing()}
        for name, artifact in outputs.items():
            artifact.uri = str(tmp_path / name)
        properties = {
            "eval_config": proto_utils.proto_to_json(build_eval_config(BlessingConfig(min_accuracy=0.0))),
            "example_splits": json_utils.dumps(["test"]),
            "fairness_indicator_thresholds": json_utils.dumps(None),
        }
        context = base_beam_executor.BaseBeamExecutor.Context(beam_pipeline_args=list(args), unique_id="1")
        Executor(context).Do(inputs, {name: [artifact] for name, artifact in outputs.items()}, properties)
        lines = (tmp_path / "evaluation" / "predictions.jsonl").read_text().splitlines()
        rows = sorted(map(json.loads, lines), key=lambda row: int(row["id"]))
        metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
        return metrics, np.array([row["probabilities"] for row in rows])

    return run


@pytest.fixture(scope="module")
def candidate(export_classifier: Callable[..., str], trainable_backbone: str) -> str:
    return export_classifier(trainable_backbone, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["direct", "multi_processing"])
def test_features_are_evaluated_and_agree_with_what_is_served(
    data: _Data, evaluate: Evaluate, candidate: str, runner: str
) -> None:
    metrics, probabilities = evaluate(candidate, args=beam_args(runner, 1))
    np.testing.assert_allclose(probabilities, data.probabilities(candidate), atol=1e-5)
    assert metrics["accuracy"] == data.accuracy(candidate)
    labels = np.arange(_COUNT) % 3
    assert metrics["loss"] == pytest.approx(-np.log(probabilities[np.arange(_COUNT), labels]).mean(), rel=1e-5)
    assert metrics["serving_difference"] < 1e-5


def test_features_that_are_not_the_photos_are_noticed(evaluate: Evaluate, candidate: str) -> None:
    with pytest.raises(UserError, match="differs from the evaluated one"):
        evaluate(candidate, scale=2)


@pytest.mark.slow
def test_a_baseline_with_another_backbone_sees_the_photos(
    data: _Data, evaluate: Evaluate, candidate: str, export_classifier: Callable[..., str], tiny_backbone: Path
) -> None:
    baseline = export_classifier(str(tiny_backbone), "d2", seed=2)
    metrics, probabilities = evaluate(candidate, baseline)
    np.testing.assert_allclose(probabilities, data.probabilities(candidate), atol=1e-5)
    assert (metrics["accuracy"], metrics["baseline"]["accuracy"]) == (data.accuracy(candidate), data.accuracy(baseline))


@pytest.mark.slow
def test_a_fine_tuned_model_sees_the_photos(
    data: _Data, evaluate: Evaluate, candidate: str, export_classifier: Callable[..., str], trainable_backbone: str
) -> None:
    model = export_classifier(trainable_backbone, "", seed=2)
    metrics, probabilities = evaluate(model, candidate)
    np.testing.assert_allclose(probabilities, data.probabilities(model), atol=1e-5)
    assert metrics["baseline"]["accuracy"] == data.accuracy(candidate)


@pytest.mark.slow
def test_a_baseline_with_other_classes_is_none(
    evaluate: Evaluate, candidate: str, export_classifier: Callable[..., str], trainable_backbone: str
) -> None:
    """Two configurations of one TFDS dataset have one pipeline, and may have other classes."""
    metrics, _ = evaluate(candidate, export_classifier(trainable_backbone, class_names=["green", "red"]))
    assert metrics["baseline"] is None
    assert metrics["ignored_baseline_classes"] == ["green", "red"]
    assert {threshold["kind"] for threshold in metrics["thresholds"]} == {"value"}
