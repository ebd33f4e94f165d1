"""The classification layers: the head that is trained on feature vectors.

Apart from `classifier`, because it needs no TF Hub, whose import takes a while.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def build_head(feature_size: int, num_classes: int, hidden_units: int, seed: int) -> tf.keras.Sequential:
    """Builds the classification layers: Dense, ReLU, Dense.

    Args:
        feature_size: D, the length of a feature vector.
        num_classes: C, at least 2.
        hidden_units: Units of the hidden layer.
        seed: Seeds the initial weights, so that they do not depend on what ran before in the process.

    Returns:
        A model from float32 [N, D] to logits float32 [N, C].
    """
    glorot = tf.keras.initializers.GlorotUniform
    return tf.keras.Sequential(
        [
            tf.keras.layers.InputLayer((feature_size,), name="feature_vector"),
            tf.keras.layers.Dense(hidden_units, kernel_initializer=glorot(seed), name="hidden"),
            tf.keras.layers.ReLU(name="relu"),
            tf.keras.layers.Dense(num_classes, kernel_initializer=glorot(seed + 1), dtype="float32", name="logits"),
        ],
        name="classification_layers",
    )


def rebuild_head(weights: Sequence[np.ndarray | tf.Variable]) -> tf.keras.Sequential:
    """Builds the classification layers of an exported classifier.

    Args:
        weights: `head_weights` of the exported classifier, or their values.

    Returns:
        Classification layers with these weights.
    """
    feature_size, hidden_units = weights[0].shape
    head = build_head(feature_size, weights[-1].shape[0], hidden_units, seed=0)
    head.set_weights([np.asarray(weight) for weight in weights])
    return head
