"""Converts the exported classifier to TensorFlow Lite."""

import contextlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from components.common.errors import UserError
from components.modeling.classifier import build_classifier
from components.modeling.head import DENSE_WEIGHTS, rebuild_head

_converter_log = logging.getLogger("tensorflow.lite")


def freeze(model: Any, image_size: tuple[int, int], *, dense_only: bool = False) -> Any:
    """Freezes a loaded classifier without decoding, which TFLite cannot do, into one graph of constants.

    Returns a concrete function from `image`, float32 [1, H, W, 3] in [0, 1], to `probabilities`, float32 [1, C].
    `dense_only` omits the kernel machine, for which int8 is too coarse. With variables the converter would save the
    whole Keras model for each conversion: 19 s instead of 3 for EfficientNet-Lite0.
    """
    weights = model.head_weights[:DENSE_WEIGHTS] if dense_only else model.head_weights
    classifier = build_classifier(model.backbone, image_size, rebuild_head(weights))
    spec = tf.TensorSpec([1, *image_size, 3], tf.float32, name="image")
    classify = tf.function(lambda image: tf.nn.softmax(classifier(image, training=False)), autograph=False)
    frozen = convert_variables_to_constants_v2(classify.get_concrete_function(spec))
    # Freezing loses the names of outputs.
    named = tf.function(lambda image: {"probabilities": frozen(image)[0]}, autograph=False)
    return named.get_concrete_function(spec)


def to_float16(frozen: Any) -> bytes:
    """Converts with weights in float16; arithmetic is in float32 on CPUs, in float16 on GPUs."""
    converter = _converter(frozen)
    converter.target_spec.supported_types = [tf.float16]
    return _convert(converter, "float16")


def to_int8(frozen: Any, photos: Callable[[], Iterable[np.ndarray]]) -> bytes:
    """Converts with weights and arithmetic in int8; input and output stay float32.

    `photos` gives the photos for calibration, float32 [1, H, W, 3] in [0, 1] each. Raises UserError if the backbone has
    an operation that int8 lacks.
    """
    converter = _converter(frozen)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: ([photo] for photo in photos())
    return _convert(converter, "int8")


def _converter(frozen: Any) -> Any:
    # Without a module, here an empty one, the converted model would have no signature.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter


def _convert(converter: Any, precision: str) -> bytes:
    try:
        with logged_stderr():
            return bytes(converter.convert())
    except (ConverterError, RuntimeError) as error:
        found = re.search(r"error: (.+)", str(error))
        reason = found[1] if found else str(error).split("\n", maxsplit=1)[0]
        raise UserError(
            f"this backbone cannot be converted to {precision} TFLite ({reason[:200]}); leave out "
            "--export-tflite, or choose another --backbone"
        ) from error


@contextlib.contextmanager
def logged_stderr() -> Iterator[None]:
    """Redirects standard error, which C++ code writes to at any log level, to the log."""
    with tempfile.TemporaryFile() as written:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            written.seek(0)
            for line in written.read().decode(errors="replace").splitlines():
                _converter_log.info("%s", line)
