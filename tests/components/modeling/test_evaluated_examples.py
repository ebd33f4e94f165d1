"""Evaluator on features without photos: what it measures, and when it goes by the photos instead."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tf_examples import feature_example, raw_example, write_split
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts
from tfx.utils import json_utils, proto_utils

from components.common.errors import UserError
from components.evaluator.executor import Executor
from components.modeling.classifier import build_classifier
from components.modeling.head import build_head
from components.modeling.serving import ServingModel, export
from components.photos.decode import decode_image
from pipeline.blessing import build_eval_config

_CLASSES = ["blue", "green", "red"]
_COUNT = 40


class _Data:
    """Photos, and what a model makes of them in float32 by its signature."""

    def __init__(self, folder: Path, encode_image: Callable[..., bytes], backbone: str) -> None:
        self.folder = folder
        self.photos = [encode_image((5 * i, 120, 250 - 5 * i), size=(16, 16), seed=i) for i in range(_COUNT)]
        self._vectors = tf.saved_model.load(backbone)(tf.stack([decode_image(photo, 16, 16) for photo in self.photos]))
        raw = [raw_example(photo, i % 3, str(i).encode()) for i, photo in enumerate(self.photos)]
        self.raw = self._artifact("raw", raw)

    def features(self, scale: float = 1.0) -> standard_artifacts.Examples:
        rows = [
            feature_example(list(vector * scale), i % 3, photo, str(i).encode())
            for i, (vector, photo) in enumerate(zip(self._vectors.numpy(), self.photos, strict=True))
        ]
        artifact = self._artifact(f"features{scale}", rows[::-1])
        artifact.set_string_custom_property("backbone_digest", "d1")
        return artifact

    def probabilities(self, model: str) -> np.ndarray:
        serve = tf.saved_model.load(model).signatures["serving_default"]
        answers: np.ndarray = serve(image_bytes=tf.constant(self.photos))["probabilities"].numpy()
        return answers

    def accuracy(self, model: str) -> float:
        return float(np.mean(self.probabilities(model).argmax(axis=1) == np.arange(_COUNT) % 3))

    def _artifact(self, name: str, records: list[bytes]) -> standard_artifacts.Examples:
        artifact = standard_artifacts.Examples()
        artifact.uri = str(self.folder / name)
        artifact.split_names = '["test"]'
        artifact.set_string_custom_property("class_names", json.dumps(_CLASSES))
        if not Path(artifact.uri).exists():
            write_split(records, self.folder / name / "Split-test")
        return artifact


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes], trainable_backbone: str
) -> _Data:
    return _Data(tmp_path_factory.mktemp("data"), encode_image, trainable_backbone)


@pytest.fixture(scope="module")
def export_model(tmp_path_factory: pytest.TempPathFactory, transform_graph: str) -> Callable[..., str]:
    """A function that exports a backbone with a random head; returns the SavedModel."""

    def export_with(backbone: str, digest: str, seed: int) -> str:
        classifier = build_classifier(backbone, (16, 16), build_head(12, len(_CLASSES), hidden_units=8, seed=seed))
        path = tmp_path_factory.mktemp("model") / "Format-Serving"
        export(ServingModel(classifier, tft.TFTransformOutput(transform_graph), _CLASSES, digest), str(path))
        return str(path)

    return export_with


def _model(saved_model: str) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.uri = str(Path(saved_model).parent)
    return model


def _evaluate(folder: Path, inputs: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """Returns the metrics, and the probabilities by the number of the photo."""
    outputs = {"evaluation": standard_artifacts.ModelEvaluation(), "blessing": standard_artifacts.ModelBlessing()}
    for name, artifact in outputs.items():
        artifact.uri = str(folder / name)
    properties = {
        "eval_config": proto_utils.proto_to_json(build_eval_config()),
        "example_splits": json_utils.dumps(["test"]),
        "fairness_indicator_thresholds": json_utils.dumps(None),
    }
    context = base_beam_executor.BaseBeamExecutor.Context(unique_id="1")
    Executor(context).Do(inputs, {name: [artifact] for name, artifact in outputs.items()}, properties)
    lines = (folder / "evaluation" / "predictions.jsonl").read_text().splitlines()
    rows = sorted(map(json.loads, lines), key=lambda row: int(row["id"]))
    metrics = json.loads((folder / "evaluation" / "metrics.json").read_text())
    return metrics, np.array([row["probabilities"] for row in rows])


@pytest.mark.slow
def test_features_are_evaluated_and_agree_with_what_is_served(
    data: _Data, export_model: Callable[..., str], trainable_backbone: str, tmp_path: Path
) -> None:
    model = export_model(trainable_backbone, "d1", seed=1)
    inputs = {"examples": [data.features()], "photos": [data.raw], "model": [_model(model)]}
    metrics, probabilities = _evaluate(tmp_path, inputs)
    np.testing.assert_allclose(probabilities, data.probabilities(model), atol=1e-5)
    assert metrics["accuracy"] == data.accuracy(model)
    assert metrics["serving_difference"] < 1e-5


def test_features_that_are_not_the_photos_are_noticed(
    data: _Data, export_model: Callable[..., str], trainable_backbone: str, tmp_path: Path
) -> None:
    model = export_model(trainable_backbone, "d1", seed=1)
    inputs = {"examples": [data.features(scale=2)], "photos": [data.raw], "model": [_model(model)]}
    with pytest.raises(UserError, match="differs from the evaluated one"):
        _evaluate(tmp_path, inputs)


@pytest.mark.slow
def test_a_baseline_with_another_backbone_sees_the_photos(
    data: _Data, export_model: Callable[..., str], trainable_backbone: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    model, baseline = export_model(trainable_backbone, "d1", seed=1), export_model(str(tiny_backbone), "d2", seed=2)
    inputs = {"examples": [data.features()], "photos": [data.raw], "model": [_model(model)]}
    metrics, probabilities = _evaluate(tmp_path, {**inputs, "baseline_model": [_model(baseline)]})
    np.testing.assert_allclose(probabilities, data.probabilities(model), atol=1e-5)
    assert (metrics["accuracy"], metrics["baseline"]["accuracy"]) == (data.accuracy(model), data.accuracy(baseline))


@pytest.mark.slow
def test_a_fine_tuned_model_sees_the_photos(
    data: _Data, export_model: Callable[..., str], trainable_backbone: str, tmp_path: Path
) -> None:
    model, baseline = export_model(trainable_backbone, "", seed=1), export_model(trainable_backbone, "d1", seed=2)
    inputs = {"examples": [data.features()], "photos": [data.raw], "model": [_model(model)]}
    metrics, probabilities = _evaluate(tmp_path, {**inputs, "baseline_model": [_model(baseline)]})
    np.testing.assert_allclose(probabilities, data.probabilities(model), atol=1e-5)
    assert metrics["baseline"]["accuracy"] == data.accuracy(baseline)
