"""A classifier of the strong recipe becomes TFLite as one of dense layers does."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from components.modeling.head import build_head, exported_weights, signed_root, with_kernel_machine
from components.tflite_exporter.conversion import freeze, to_float16, to_int8

_SIZE = (16, 16)


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_it_gives_nearly_the_same_probabilities(precision: str, tiny_backbone: Path) -> None:
    """In int8 those of the dense layers."""
    backbone = tf.saved_model.load(str(tiny_backbone))
    colors = np.random.default_rng(0).uniform(0.1, 0.9, (30, 1, 1, 3)).astype(np.float32)
    photos = np.broadcast_to(colors, (30, *_SIZE, 3)).copy()
    features = backbone(photos, training=False)
    centers = signed_root(features).numpy()
    spread = np.median(np.sum((centers[:, None] - centers) ** 2, axis=-1))
    coefficients = 3 * np.eye(3, dtype=np.float32)[colors[:, 0, 0].argmax(axis=1)]
    dense = build_head(features.shape[1], 3, 8, seed=0)
    head = with_kernel_machine(dense, [np.float32(1), centers, 1 / spread, coefficients])
    model = SimpleNamespace(backbone=backbone, head_weights=exported_weights(head))
    samples = [photo[None] for photo in photos]
    if precision == "int8":
        content = to_int8(freeze(model, _SIZE, dense_only=True), lambda: samples)
    else:
        content = to_float16(freeze(model, _SIZE))
    runner = tf.lite.Interpreter(model_content=content).get_signature_runner()
    converted = np.concatenate([runner(image=photo)["probabilities"] for photo in samples])
    expected = tf.nn.softmax((dense if precision == "int8" else head)(features))
    np.testing.assert_allclose(converted, expected, atol=0.1)
