"""What a conversion costs: converted models and the original on the same photos."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from components.contracts import LABEL_KEY
from components.contracts.tflite import ConvertedModel
from components.tflite_exporter.conversion import logged_stderr

_BATCH_SIZE = 32


def classify_with_original(
    signature: Callable[..., dict[str, tf.Tensor]], examples: tf.data.Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """Classifies serialized raw examples, at least one, with the exported model's signature for them.

    Returns:
        The examples' labels, int64 [N], and probabilities, float32 [N, C].
    """
    labels, probabilities = [], []
    spec = {LABEL_KEY: tf.io.FixedLenFeature([], tf.int64)}
    for batch in examples.batch(_BATCH_SIZE):
        labels.append(tf.io.parse_example(batch, spec)[LABEL_KEY].numpy())
        probabilities.append(signature(examples=batch)["probabilities"].numpy())
    return np.concatenate(labels), np.concatenate(probabilities)


def classify_with_tflite(models: Mapping[str, bytes], photos: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Classifies photos one by one, as a phone does, with TFLite's interpreter.

    Args:
        models: Converted classifiers by name.
        photos: At least one, float32 [1, H, W, 3] in [0, 1] each.

    Returns:
        Probabilities by name, float32 [N, C].
    """
    with logged_stderr():
        # Several threads wait for each other in a busy loop, which is 40 times slower on a busy machine.
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


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the share, in [0, 1], of photos whose most probable class is their label."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def compare(labels: np.ndarray, original: np.ndarray, converted: np.ndarray, size: int) -> ConvertedModel:
    """Compares a converted model of `size` bytes with the original, by their probabilities, float32 [N, C]."""
    return ConvertedModel(size, accuracy(labels, converted), float(np.abs(converted - original).max()))
