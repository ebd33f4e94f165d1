"""The classification layers, trained on feature vectors; separate from `classifier`, which imports TF Hub slowly."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

# Bounds the slope of the root at 0, where many features are: small numerical differences must stay small.
_ROOT_OFFSET: Final = 1e-3
DENSE_WEIGHTS: Final = 4  # the first of the exported weights are those of the dense layers


def signed_root(features: tf.Tensor) -> tf.Tensor:
    """Evens out a few large features (power normalization: Perronnin et al., ECCV 2010); keeps 0 and signs."""
    return tf.sign(features) * (tf.sqrt(tf.abs(features) + _ROOT_OFFSET) - _ROOT_OFFSET**0.5)


def squared_distances(points: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Returns the squared Euclidean distances [N, M] of points [N, D] from centers [M, D]."""
    lengths = tf.reduce_sum(tf.square(points), axis=1, keepdims=True)
    others = tf.reduce_sum(tf.square(centers), axis=1)
    return tf.maximum(lengths - 2 * tf.matmul(points, centers, transpose_b=True) + others, 0)


def kernel_logits(distances: tf.Tensor, inverse_width: Any, coefficients: Any) -> tf.Tensor:
    """Returns the logits [N, C] of photos at squared distances [N, M] from centers with coefficients [M, C]."""
    return tf.matmul(tf.exp(-inverse_width * distances), coefficients)


class KernelLogits(tf.keras.layers.Layer):
    """Adds the logits of a kernel machine to others: photos that are alike get high logits for the same class.

    Similarity is a Gaussian of the distance between the roots of features. Its weights are computed, not trained.
    """

    def __init__(self, num_centers: int, num_classes: int, **arguments: Any):
        """Remembers how many photos it compares with, and the number of classes."""
        super().__init__(trainable=False, **arguments)
        self._num_centers = num_centers
        self._num_classes = num_classes

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the weights; centers are roots of features."""
        self._weight_of_others = self.add_weight(name="weight_of_others", shape=())
        self._centers = self.add_weight(name="centers", shape=(self._num_centers, input_shape[0][-1]))
        self._inverse_width = self.add_weight(name="inverse_width", shape=())
        self._coefficients = self.add_weight(name="coefficients", shape=(self._num_centers, self._num_classes))

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Maps features float32 [N, D] and the other logits [N, C] to logits float32 [N, C]."""
        features, others = inputs
        distances = squared_distances(signed_root(features), self._centers)
        return self._weight_of_others * others + kernel_logits(distances, self._inverse_width, self._coefficients)


def build_head(feature_size: int, num_classes: int, hidden_units: int, seed: int) -> tf.keras.Sequential:
    """Builds the classification layers, Dense, ReLU, Dense: from features float32 [N, D] to logits float32 [N, C].

    The seed fixes the initial weights, whatever ran before in the process.
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


# Without Python control flow on tensors, AutoGraph's conversion only costs time.
@tf.autograph.experimental.do_not_convert
def with_kernel_machine(head: tf.keras.Sequential, weights: Sequence[np.ndarray]) -> tf.keras.Model:
    """Adds the logits of a kernel machine to those of a head from `build_head`.

    `weights` are those of `KernelLogits`: factor of the head, centers [M, D], inverse width, coefficients [M, C].
    """
    machine = KernelLogits(*weights[-1].shape, name="kernel_machine")
    logits = machine([head.input, head.output])
    machine.set_weights(weights)
    return tf.keras.Model(head.input, logits, name=head.name)


def exported_weights(head: tf.keras.Model) -> list[tf.Variable]:
    """Returns the weights of the dense layers, then those of the kernel machine, if any, for `rebuild_head`."""
    machines = [layer for layer in head.layers if isinstance(layer, KernelLogits)]
    dense = [layer for layer in head.layers if layer not in machines]
    return [weight for layer in [*dense, *machines] for weight in layer.weights]


def rebuild_head(weights: Sequence[np.ndarray | tf.Variable]) -> tf.keras.Model:
    """Builds the classification layers of an exported classifier from its `head_weights`, or their values."""
    values = [np.asarray(weight) for weight in weights]
    dense, machine = values[:DENSE_WEIGHTS], values[DENSE_WEIGHTS:]
    feature_size, hidden_units = dense[0].shape
    head = build_head(feature_size, dense[-1].shape[0], hidden_units, seed=0)
    head.set_weights(dense)
    return with_kernel_machine(head, machine) if machine else head
