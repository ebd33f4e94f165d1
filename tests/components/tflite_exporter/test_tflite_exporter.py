"""TFLiteExporter's executor on a real classifier, with TFLite's own converter and interpreter."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tf_examples import examples_artifact, raw_example
from tfx import types
from tfx.types import standard_artifacts

from components.common.errors import UserError
from components.contracts.artifact_types import TFLiteModel
from components.contracts.tflite import ConvertedModel, read_info
from components.modeling.classifier import build_classifier
from components.modeling.head import build_head
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.serving import ServingModel, export
from components.tflite_exporter.component import TFLiteExporter, compare
from components.tflite_exporter.conversion import to_int8

CLASS_NAMES = ["blue", "grün", "two\nlines"]
_LABELS = "blue\ngrün\ntwo lines\n"
_COLORS = [(60, 80, 170), (70, 160, 80), (170, 80, 70)]
_SIZES = {"train": 30, "test": 14}
_PRECISIONS = ["float16", "int8"]
Inputs = dict[str, list[types.Artifact]]


@pytest.fixture(scope="module")
def artifacts(
    tmp_path_factory: pytest.TempPathFactory,
    encode_image: Callable[..., bytes],
    tiny_backbone: Path,
    transform_graph: str,
) -> Inputs:
    """A trained classifier of 3 colours with its photos; the last photo's label of a split is wrong."""
    root = tmp_path_factory.mktemp("tflite_inputs")
    splits = {
        split: [
            raw_example(
                encode_image(_COLORS[index % 3], size=(20 + index, 40 - index), seed=index),
                (index + (index == size - 1)) % 3,
                str(index).encode(),
            )
            for index in range(size)
        ]
        for split, size in _SIZES.items()
    }
    examples = examples_artifact(root / "examples", splits, CLASS_NAMES)
    graph, model = standard_artifacts.TransformGraph(), standard_artifacts.Model()
    graph.uri, model.uri = transform_graph, str(root / "model")
    output = tft.TFTransformOutput(transform_graph)
    classifier = build_classifier(str(tiny_backbone), (16, 16), build_head(12, len(CLASS_NAMES), 8, seed=0))
    _train(classifier, ImagePipeline(output, _SIZES["train"]).validation_batches([f"{examples.uri}/Split-train/*"]))
    export(ServingModel(classifier, output, CLASS_NAMES, "d1"), f"{model.uri}/Format-Serving")
    return {"examples": [examples], "transform_graph": [graph], "model": [model]}


def _train(classifier: tf.keras.Sequential, batches: tf.data.Dataset) -> None:
    ((photos, labels),) = batches
    features = classifier.get_layer("feature_extractor")(photos)
    head, optimizer = classifier.get_layer("classification_layers"), tf.keras.optimizers.Adam(0.05)
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, head(features))
        gradients = tape.gradient(loss, head.trainable_variables)
        optimizer.apply_gradients(zip(gradients, head.trainable_variables, strict=True))


def _export(inputs: Inputs, folder: Path, **parameters: int) -> TFLiteModel:
    output = TFLiteModel()
    output.uri = str(folder)
    folder.mkdir(exist_ok=True)
    executor = TFLiteExporter.EXECUTOR_SPEC.executor_class()
    executor.Do(inputs, {"tflite_model": [output]}, {"calibration_photos": 100, "test_photos": 200, **parameters})
    return output


def _blessing(folder: Path, blessed: bool) -> standard_artifacts.ModelBlessing:
    artifact = standard_artifacts.ModelBlessing()
    artifact.uri = str(folder)
    artifact.set_int_custom_property("blessed", int(blessed))  # as TFX's Evaluator does
    return artifact


@pytest.fixture(scope="module")
def exported(artifacts: Inputs, tmp_path_factory: pytest.TempPathFactory) -> TFLiteModel:
    folder = tmp_path_factory.mktemp("tflite")
    blessing = _blessing(folder / "blessing", blessed=True)
    return _export({**artifacts, "model_blessing": [blessing]}, folder / "model")


@pytest.fixture(scope="module")
def test_photos(artifacts: Inputs) -> tuple[list[np.ndarray], np.ndarray]:
    """Pixels and labels as serving sees them."""
    images = ImagePipeline(tft.TFTransformOutput(artifacts["transform_graph"][0].uri), batch_size=1)
    batches = list(images.validation_batches([f"{artifacts['examples'][0].uri}/Split-test/*"]))
    return [image.numpy() for image, _ in batches], np.array([int(label[0]) for _, label in batches])


def _classify(path: Path, photos: list[np.ndarray]) -> np.ndarray:
    """Calls a model as an app does: by its signature."""
    classify = tf.lite.Interpreter(str(path)).get_signature_runner()
    image = classify.get_input_details()["image"]
    assert (image["dtype"], image["shape"].tolist()) == (np.float32, [1, 16, 16, 3])
    return np.concatenate([classify(image=photo)["probabilities"] for photo in photos])


@pytest.mark.slow
@pytest.mark.parametrize("precision", _PRECISIONS)
def test_metrics_are_those_of_the_file(
    exported: TFLiteModel, artifacts: Inputs, test_photos: tuple[list[np.ndarray], np.ndarray], precision: str
) -> None:
    metrics = json.loads((Path(exported.uri) / "metrics.json").read_text())
    photos, labels = test_photos
    path = Path(exported.uri) / f"{precision}.tflite"
    probabilities = _classify(path, photos)
    accuracy = np.mean(probabilities.argmax(axis=1) == labels)
    assert metrics["test_photos"] == len(labels) == 14
    assert metrics["calibration_photos"] == 30  # all there are
    assert metrics[precision]["accuracy"] == pytest.approx(accuracy)
    assert metrics[precision]["bytes"] == path.stat().st_size
    assert exported.get_float_custom_property(f"accuracy_{precision}") == pytest.approx(accuracy)

    model = tf.saved_model.load(f"{artifacts['model'][0].uri}/Format-Serving")
    files = tf.io.gfile.glob(f"{artifacts['examples'][0].uri}/Split-test/*")
    records = tf.constant(list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()))
    original = model.signatures["serving_tf_examples"](examples=records)["probabilities"].numpy()
    difference = np.abs(probabilities - original).max()
    assert metrics[precision]["max_probability_difference"] == pytest.approx(difference, abs=1e-5)
    assert difference < (0.01 if precision == "float16" else 0.1)


@pytest.mark.slow
def test_the_original_is_beside_them(exported: TFLiteModel, artifacts: Inputs) -> None:
    original = json.loads((Path(exported.uri) / "metrics.json").read_text())["original"]
    assert original["accuracy"] == pytest.approx(13 / 14)
    folder = Path(artifacts["model"][0].uri) / "Format-Serving"
    assert original["bytes"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_int8_is_computed_in_int8(exported: TFLiteModel) -> None:
    """Only the input's and the output's own tensors are floats."""
    interpreter = tf.lite.Interpreter(f"{exported.uri}/int8.tflite")
    interpreter.allocate_tensors()
    outer = {interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]}
    kinds = {detail["dtype"] for detail in interpreter.get_tensor_details() if detail["index"] not in outer}
    assert kinds <= {np.int8, np.int32}


@pytest.mark.slow
def test_labels_and_a_description_are_beside_the_models(exported: TFLiteModel) -> None:
    folder = Path(exported.uri)
    assert (folder / "labels.txt").read_text() == _LABELS
    info = read_info((folder / "model_info.json").read_text())
    assert (info.image_size, info.labels) == ((16, 16), CLASS_NAMES)
    assert (info.value_range, 255 * info.pixel_scale) == ((0.0, 1.0), 1.0)
    assert {name for name in info.quantization if (folder / name).exists()} == {"float16.tflite", "int8.tflite"}


def test_a_model_that_is_not_blessed_is_left_alone(artifacts: Inputs, tmp_path: Path) -> None:
    blessing = _blessing(tmp_path / "blessing", blessed=False)
    output = _export({**artifacts, "model_blessing": [blessing]}, tmp_path / "model")
    assert not list((tmp_path / "model").iterdir())
    assert output.get_int_custom_property("exported") == 0


@pytest.mark.slow
def test_fewer_test_photos_and_the_same_files_again(
    exported: TFLiteModel, artifacts: Inputs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    again = _export(artifacts, tmp_path / "model", test_photos=5)
    assert json.loads((Path(again.uri) / "metrics.json").read_text())["test_photos"] == 5
    for name in ("float16.tflite", "int8.tflite", "labels.txt", "model_info.json"):
        assert (Path(again.uri) / name).read_bytes() == (Path(exported.uri) / name).read_bytes()
    # The converter's C++ code writes to standard error whatever the log level is.
    assert not capfd.readouterr().err


def test_a_conversion_that_int8_cannot_do_is_a_user_error() -> None:
    unsupported = tf.function(tf.linalg.inv).get_concrete_function(tf.TensorSpec([1, 3, 3], tf.float32))
    photo = np.random.default_rng(0).uniform(0, 1, [1, 3, 3]).astype(np.float32)
    with pytest.raises(UserError, match=r"int8 TFLite \(.*MatrixInverse.*--export-tflite"):
        to_int8(unsupported, lambda: [photo])


@pytest.mark.parametrize("parameters", [{"calibration_photos": 99}, {"test_photos": 0}])
def test_too_few_photos_are_a_user_error(parameters: dict[str, int], artifacts: Inputs, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 100 and 1"):
        _export(artifacts, tmp_path / "model", **parameters)


def test_differences_are_the_largest_over_photos_and_classes() -> None:
    original = np.array([[0.9, 0.1], [0.2, 0.8]])
    metrics = compare(np.array([0, 1]), original, np.array([[0.8, 0.2], [0.7, 0.3]]), size=7)
    assert metrics == ConvertedModel(bytes=7, accuracy=0.5, max_probability_difference=pytest.approx(0.5))
