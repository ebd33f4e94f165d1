"""Executor of TFLiteExporter."""

import dataclasses
import json
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components.common.progress import report_progress
from components.contracts import TEST_SPLIT, TRAIN_SPLIT, tflite
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.input_pipeline import read_serialized
from components.modeling.serving import RAW_EXAMPLES_SIGNATURE, image_size_of
from components.storage.examples_io import class_names_of
from components.tflite_exporter import conversion, measurement

logger = logging.getLogger(__name__)

_PROGRESS_INTERVAL = 20


class Executor(base_executor.BaseExecutor):
    """Converts a blessed model, measures the result and writes it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        output = artifact_utils.get_single_instance(output_dict["tflite_model"])
        blessed = all(model_utils.is_model_blessed(blessing) for blessing in input_dict.get("model_blessing") or [])
        output.set_int_custom_property(tflite.EXPORTED_PROPERTY, int(blessed))
        if not blessed:
            logger.info("TFLite export skipped: the model is not blessed")
            return
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        class_names = class_names_of(examples)
        files = {
            split: [io_utils.all_files_pattern(artifact_utils.get_split_uri([examples], split))]
            for split in (TRAIN_SPLIT, TEST_SPLIT)
        }
        transform_output = tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict["transform_graph"]))
        images = ImagePipeline(transform_output, batch_size=1)
        model_path = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        model = tf.saved_model.load(model_path)

        calibration = _Photos(images.validation_batches(files[TRAIN_SPLIT]), exec_properties["calibration_photos"])
        image_size = image_size_of(transform_output)
        dense = conversion.freeze(model, image_size, dense_only=True)
        converted = {
            tflite.FLOAT16_FILE: conversion.to_float16(conversion.freeze(model, image_size)),
            tflite.INT8_FILE: conversion.to_int8(dense, lambda: calibration.read("Calibrating int8")),
        }
        test = _Photos(images.validation_batches(files[TEST_SPLIT]), exec_properties["test_photos"])
        labels, original = measurement.classify_with_original(
            model.signatures[RAW_EXAMPLES_SIGNATURE], read_serialized(files[TEST_SPLIT]).take(test.limit)
        )
        found = measurement.classify_with_tflite(converted, test.read("Measuring TFLite models"))
        compared = {
            name: measurement.compare(labels, original, found[name], len(content))
            for name, content in converted.items()
        }
        metrics = tflite.TFLiteMetrics(
            test_photos=len(labels),
            calibration_photos=calibration.count,
            original=tflite.OriginalModel(_folder_size(model_path), measurement.accuracy(labels, original)),
            float16=compared[tflite.FLOAT16_FILE],
            int8=compared[tflite.INT8_FILE],
        )
        _write(output, converted, metrics)
        for name, text in (
            (tflite.LABELS_FILE, tflite.labels_text(class_names)),
            (tflite.TFLITE_INFO_FILE, tflite.info_text(image_size, class_names)),
        ):
            io_utils.write_string_file(f"{output.uri}/{name}", text)


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
        "TFLite: float16 %.1f MB, int8 %.1f MB; accuracy on %d test photos %.4f and %.4f, original %.4f",
        float16.bytes / 1e6, int8.bytes / 1e6, metrics.test_photos, float16.accuracy, int8.accuracy, original.accuracy,
    )  # fmt: skip
