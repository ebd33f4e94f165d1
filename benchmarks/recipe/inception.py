"""Inception V3's architecture with random weights, for timing where the pretrained module cannot be downloaded."""

from pathlib import Path
from typing import Final

from components.modeling.backbones.saved_model import save_feature_vector

import tensorflow as tf  # isort: skip

IMAGE_SIZE: Final = (299, 299)
_SEED: Final = 0
_CALIBRATION_IMAGES: Final = 16


class RandomInceptionV3(tf.Module):
    """The reference recipe's backbone, untrained: same layers, same cost, random features."""

    def __init__(self) -> None:
        """Draws the weights; the same in every process."""
        super().__init__()
        tf.keras.utils.set_random_seed(_SEED)
        model = tf.keras.applications.InceptionV3(
            include_top=False, weights=None, input_shape=(*IMAGE_SIZE, 3), pooling="avg"
        )
        _calibrate_batch_normalization(model)
        self._weights = model.weights
        # In a closure, where no SavedModel looks: it would hold the functions of each of the 300 layers, too.
        self._call = lambda images, training: model(images, training=training)

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps float32 [N, 299, 299, 3] in [0, 1] to float32 [N, 2048]."""
        return self._call(images * 2.0 - 1.0, training)


def _calibrate_batch_normalization(model: tf.keras.Model) -> None:
    """Sets the moving statistics from one batch, as training would have: without, activations fade over 48 layers."""
    # Noise at every scale is nearest to photos in its spectrum.
    noise = [
        tf.random.stateless_uniform([_CALIBRATION_IMAGES, n, n, 3], [_SEED, n], -1.0, 1.0) for n in (5, 20, 75, 299)
    ]
    images = tf.add_n([tf.image.resize(layer, IMAGE_SIZE) for layer in noise]) / len(noise)
    layers = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def build_random_inception(folder: Path) -> Path:
    """Writes the backbone as a reusable SavedModel unless it is there.

    Args:
        folder: The SavedModel folder to create.

    Returns:
        The folder.
    """
    if not (folder / "saved_model.pb").exists():
        save_feature_vector(RandomInceptionV3(), folder, IMAGE_SIZE)
    return folder
