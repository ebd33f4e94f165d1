"""TFLiteExporter, which converts the classifier to TensorFlow Lite and compares the results with the original."""

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils, path_utils

from components.common.errors import UserError
from components.common.progress import report_progress
from components.common.text import counted
from components.contracts import LABEL_KEY, TEST_SPLIT, TRAIN_SPLIT, tflite
from components.contracts.artifact_types import TFLiteModel
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.input_pipeline import read_serialized
from components.modeling.serving import RAW_EXAMPLES_SIGNATURE, image_size_of
from components.storage.examples_io import class_names_of
from components.tflite_exporter import conversion

logger = logging.getLogger(__name__)

_PROGRESS_INTERVAL = 20
_BATCH_SIZE = 32
# The least that TensorFlow recommends (https://www.tensorflow.org/lite/performance/post_training_quantization).
_MIN_CALIBRATION_PHOTOS = 100


@component
def TFLiteExporter(  # noqa: PLR0917 TFX calls it with keywords
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[standard_artifacts.Examples],
    transform_graph: InputArtifact[standard_artifacts.TransformGraph],
    tflite_model: OutputArtifact[TFLiteModel],
    model_blessing: InputArtifact[standard_artifacts.ModelBlessing] = None,
    calibration_photos: Parameter[int] = 128,
    test_photos: Parameter[int] = 200,
) -> None:
    """Converts a classifier to float16 and int8, and compares both with the original on the test split.

    Args:
        model: A classifier that this project's Trainer exported.
        examples: Raw examples.
        transform_graph: Transform's graph.
        tflite_model: The converted models, their metrics, labels and description.
        model_blessing: If given, only a blessed model is converted.
        calibration_photos: Photos of the train split that calibrate int8, at least 100, or all if it has fewer.
        test_photos: Photos of the test split to compare on, at least 1, or all if it has fewer.
    """
    if calibration_photos < _MIN_CALIBRATION_PHOTOS or test_photos < 1:
        raise UserError(
            f"TFLite export got calibration_photos={calibration_photos} and test_photos={test_photos}; they must "
            f"be at least {_MIN_CALIBRATION_PHOTOS} and 1"
        )
    blessed = model_blessing is None or model_utils.is_model_blessed(model_blessing)
    tflite_model.set_int_custom_property(tflite.EXPORTED_PROPERTY, int(blessed))
    if not blessed:
        logger.info("TFLite export skipped: the model is not blessed")
        return
    class_names = class_names_of(examples)
    files = {
        split: [io_utils.all_files_pattern(artifact_utils.get_split_uri([examples], split))]
        for split in (TRAIN_SPLIT, TEST_SPLIT)
    }
    transform_output = tft.TFTransformOutput(transform_graph.uri)
    images = ImagePipeline(transform_output, batch_size=1)
    model_path = path_utils.serving_model_path(model.uri)
    classifier = tf.saved_model.load(model_path)

    calibration = _Photos(images.validation_batches(files[TRAIN_SPLIT]), calibration_photos)
    image_size = image_size_of(transform_output)
    dense = conversion.freeze(classifier, image_size, dense_only=True)
    converted = {
        tflite.FLOAT16_FILE: conversion.to_float16(conversion.freeze(classifier, image_size)),
        tflite.INT8_FILE: conversion.to_int8(dense, lambda: calibration.read("Calibrating int8")),
    }
    test = _Photos(images.validation_batches(files[TEST_SPLIT]), test_photos)
    labels, original = _classify_with_original(
        classifier.signatures[RAW_EXAMPLES_SIGNATURE], read_serialized(files[TEST_SPLIT]).take(test.limit)
    )
    found = _classify_with_tflite(converted, test.read("Measuring TFLite models"))
    compared = {name: compare(labels, original, found[name], len(content)) for name, content in converted.items()}
    metrics = tflite.TFLiteMetrics(
        test_photos=len(labels),
        calibration_photos=calibration.count,
        original=tflite.OriginalModel(_folder_size(model_path), _accuracy(labels, original)),
        float16=compared[tflite.FLOAT16_FILE],
        int8=compared[tflite.INT8_FILE],
    )
    _write(tflite_model, converted, metrics)
    io_utils.write_string_file(f"{tflite_model.uri}/{tflite.LABELS_FILE}", tflite.labels_text(class_names))
    info = tflite.info_text(image_size, class_names)
    io_utils.write_string_file(f"{tflite_model.uri}/{tflite.TFLITE_INFO_FILE}", info)


class _Photos:
    """The first photos of a split, and how many there were."""

    def __init__(self, batches: tf.data.Dataset, limit: int):
        self.limit = limit
        self.count = 0
        self._batches = batches

    def read(self, description: str) -> Iterator[np.ndarray]:
        """Yields float32 [1, H, W, 3] in [0, 1], and reports progress."""
        self.count = 0
        for image, _ in self._batches.take(self.limit):
            yield image.numpy()
            self.count += 1
            if self.count % _PROGRESS_INTERVAL == 0:
                report_progress(description, self.count)


def _classify_with_original(
    signature: Callable[..., dict[str, tf.Tensor]], examples: tf.data.Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """Classifies at least one serialized raw example; returns labels, int64 [N], and probabilities, float32 [N, C]."""
    labels, probabilities = [], []
    spec = {LABEL_KEY: tf.io.FixedLenFeature([], tf.int64)}
    for batch in examples.batch(_BATCH_SIZE):
        labels.append(tf.io.parse_example(batch, spec)[LABEL_KEY].numpy())
        probabilities.append(signature(examples=batch)["probabilities"].numpy())
    return np.concatenate(labels), np.concatenate(probabilities)


def _classify_with_tflite(models: Mapping[str, bytes], photos: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Classifies photos, float32 [1, H, W, 3] in [0, 1] each, one by one with TFLite's interpreter.

    Returns the probabilities, float32 [N, C], by the name of the model.
    """
    with conversion.logged_stderr():
        # Several threads wait for each other in a busy loop: 40 times slower on a busy machine.
        interpreters = {name: tf.lite.Interpreter(model_content=model, num_threads=1) for name, model in models.items()}
        for interpreter in interpreters.values():
            interpreter.allocate_tensors()
    rows: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for photo in photos:
        for name, interpreter in interpreters.items():
            rows[name].append(_invoke(interpreter, photo))
    return {name: np.concatenate(found) for name, found in rows.items()}


def _invoke(interpreter: Any, photo: np.ndarray) -> np.ndarray:
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(source["index"], photo)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(target["index"]))


def _accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the share, in [0, 1], of photos whose most probable class is their label."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def compare(labels: np.ndarray, original: np.ndarray, converted: np.ndarray, size: int) -> tflite.ConvertedModel:
    """Compares a converted model of `size` bytes with the original, by their probabilities, float32 [N, C]."""
    return tflite.ConvertedModel(size, _accuracy(labels, converted), float(np.abs(converted - original).max()))


def _folder_size(path: str) -> int:
    files = (f"{folder}/{name}" for folder, _, names in fileio.walk(path) for name in names)
    return sum(tf.io.gfile.stat(file).length for file in files)


def _write(output: types.Artifact, converted: dict[str, bytes], metrics: tflite.TFLiteMetrics) -> None:
    for name, content in converted.items():
        with fileio.open(f"{output.uri}/{name}", "wb") as file:
            file.write(content)
    text = json.dumps(dataclasses.asdict(metrics), indent=2)
    io_utils.write_string_file(f"{output.uri}/{tflite.TFLITE_METRICS_FILE}", text)
    original, float16, int8 = metrics.original, metrics.float16, metrics.int8
    output.set_float_custom_property(tflite.ORIGINAL_ACCURACY_PROPERTY, original.accuracy)
    output.set_float_custom_property(tflite.FLOAT16_ACCURACY_PROPERTY, float16.accuracy)
    output.set_float_custom_property(tflite.INT8_ACCURACY_PROPERTY, int8.accuracy)
    logger.info(
        "TFLite: float16 %.1f MB, int8 %.1f MB; accuracy on %s %.4f and %.4f, original %.4f",
        float16.bytes / 1e6, int8.bytes / 1e6, counted(metrics.test_photos, "test photo"),
        float16.accuracy, int8.accuracy, original.accuracy,
    )  # fmt: skip
