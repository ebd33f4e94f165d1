"""Writes a tf.Module as a reusable TF2 SavedModel, reproducibly.

The interface is what `hub.KerasLayer` needs for `trainable=True`: https://www.tensorflow.org/hub/reusable_saved_models
"""

import re
from pathlib import Path
from typing import Final

import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

# TensorFlow numbers functions ("__inference_NAME_123") and the tensors they capture by counters of the whole process.
_COUNTED_NAMES: Final = (
    re.compile(r"(__(?:inference|forward|backward)_\w+?_)(\d+)\b"),
    re.compile(r'("_user_specified_name"\s+value {\s+s: ")(\d+)\b'),
)


def save_feature_vector(module: tf.Module, path: Path, image_size: tuple[int | None, int | None]) -> None:
    """Saves a module for `hub.KerasLayer` in a new folder; image height and width are in pixels, None for any.

    The module takes images, float32 [N, H, W, 3] in [0, 1], and `training`, and returns float32 [N, D].
    """
    images = tf.TensorSpec([None, *image_size, 3], tf.float32, name="images")

    @tf.function
    def call(images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return module(images, training)

    reusable = tf.train.Checkpoint(module=module)
    reusable.variables = module.variables
    reusable.trainable_variables = module.trainable_variables
    reusable.regularization_losses = []
    call.get_concrete_function(images, training=True)
    reusable.__call__ = call
    signatures = {"serving_default": call.get_concrete_function(images, training=False)}
    tf.saved_model.save(reusable, str(path), signatures=signatures)
    _make_reproducible(path)


def _make_reproducible(path: Path) -> None:
    """Renumbers counted names from 0 in their order of creation; drops the fingerprint, which holds a random id."""
    (path / "fingerprint.pb").unlink(missing_ok=True)
    file = path / "saved_model.pb"
    text = text_format.MessageToString(saved_model_pb2.SavedModel.FromString(file.read_bytes()))
    for pattern in _COUNTED_NAMES:
        text = _renumber(text, pattern)
    model = text_format.Parse(text, saved_model_pb2.SavedModel())
    for meta_graph in model.meta_graphs:
        meta_graph.graph_def.library.function.sort(key=lambda function: function.signature.name)
    file.write_bytes(model.SerializeToString(deterministic=True))


def _renumber(text: str, pattern: re.Pattern[str]) -> str:
    numbers = sorted({int(number) for _, number in pattern.findall(text)})
    rank = {str(number): index for index, number in enumerate(numbers)}
    return pattern.sub(lambda match: match[1] + str(rank[match[2]]), text)
