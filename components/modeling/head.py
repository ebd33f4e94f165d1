"""The classification layers: the head that is trained on feature vectors.

Apart from `classifier`, because it needs no TF Hub, whose import takes a while.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

# Bounds the slope of a root at 0, where many features are: what two ways of computing them differ by must stay small.
_ROOT_OFFSET: Final = 1e-3
# Of the exported weights, those of the dense layers come first.
DENSE_WEIGHTS: Final = 4


def signed_root(features: tf.Tensor) -> tf.Tensor:
    """Evens out a few large features (power normalization: Perronnin et al., ECCV 2010); keeps 0 and signs."""
    return tf.sign(features) * (tf.sqrt(tf.abs(features) + _ROOT_OFFSET) - _ROOT_OFFSET**0.5)


def squared_distances(points: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Returns the squared Euclidean distances [N, M] of points [N, D] from centers [M, D]."""
    lengths, others = tf.reduce_sum(points**2, axis=1, keepdims=True), tf.reduce_sum(centers**2, axis=1)
    return tf.maximum(lengths - 2 * tf.matmul(points, centers, transpose_b=True) + others, 0)


class KernelLogits(tf.keras.layers.Layer):
    """A kernel machine beside other logits: the more alike a photo and those of a class, the higher the class's logit.

    Likeness is a Gaussian of the distance between the roots of features. Its weights are computed, not trained.
    """

    def __init__(self, num_centers: int, num_classes: int, **arguments: Any):
        """Remembers how many photos it compares with, and the number of classes."""
        super().__init__(trainable=False, **arguments)
        self._num_centers = num_centers
        self._num_classes = num_classes

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the weights: of the others, roots of features, the Gaussian's inverse width, coefficients."""
        self._weight_of_others = self.add_weight(name="weight_of_others", shape=())
        self._centers = self.add_weight(name="centers", shape=(self._num_centers, input_shape[0][-1]))
        self._inverse_width = self.add_weight(name="inverse_width", shape=())
        self._coefficients = self.add_weight(name="coefficients", shape=(self._num_centers, self._num_classes))

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Maps features float32 [N, D] and the other logits [N, C] to logits float32 [N, C]."""
        features, others = inputs
        distances = squared_distances(signed_root(features), self._centers)
        own = tf.matmul(tf.exp(-self._inverse_width * distances), self._coefficients)
        return self._weight_of_others * others + own


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


def with_kernel_machine(head: tf.keras.Sequential, weights: Sequence[np.ndarray]) -> tf.keras.Model:
    """Adds the logits of a kernel machine to those of dense layers.

    Args:
        head: From `build_head`.
        weights: Of `KernelLogits`: weight of the dense layers, centers [M, D], inverse width, coefficients [M, C].

    Returns:
        Classification layers with the weights of both.
    """
    machine = KernelLogits(*weights[-1].shape, name="kernel_machine")
    logits = machine([head.input, head.output])
    machine.set_weights(weights)
    return tf.keras.Model(head.input, logits, name=head.name)


def exported_weights(head: tf.keras.Model) -> list[tf.Variable]:
    """Returns what `rebuild_head` takes: the weights of the dense layers, and those of the kernel machine if any."""
    machines = [layer for layer in head.layers if isinstance(layer, KernelLogits)]
    dense = [layer for layer in head.layers if layer not in machines]
    return [weight for layer in [*dense, *machines] for weight in layer.weights]


def rebuild_head(weights: Sequence[np.ndarray | tf.Variable]) -> tf.keras.Model:
    """Builds the classification layers of an exported classifier.

    Args:
        weights: `head_weights` of the exported classifier, or their values.

    Returns:
        Classification layers with these weights.
    """
    values = [np.asarray(weight) for weight in weights]
    dense, machine = values[:DENSE_WEIGHTS], values[DENSE_WEIGHTS:]
    feature_size, hidden_units = dense[0].shape
    head = build_head(feature_size, dense[-1].shape[0], hidden_units, seed=0)
    head.set_weights(dense)
    return with_kernel_machine(head, machine) if machine else head
