"""Temperature scaling of the logits of one or several parts of a model (Guo et al., ICML 2017, arXiv:1706.04599)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import tensorflow as tf
from scipy import optimize

_BOUNDS: Final = (0.0, 100.0)


def fit_scales(parts: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Returns the factors, one per part and at least 0, at which the sum of all logits has the lowest cross-entropy.

    A factor is the inverse of a temperature; the problem is convex. The parts are float32 [N, C], the labels int64 [N]
    of examples that none of the parts was trained on. As in Platt scaling, targets are not quite 0 and 1, and closer to
    them with more examples: a few examples that are all correct would otherwise ask for infinite certainty.
    """
    logits = np.stack([part.astype(np.float64) for part in parts])
    doubt = 1 / (len(labels) + 2)
    num_classes = logits.shape[-1]
    targets = np.eye(num_classes)[labels] * (1 - doubt) + doubt / num_classes

    def loss_and_slope(scales: np.ndarray) -> tuple[float, np.ndarray]:
        log_probabilities = _log_softmax(np.tensordot(scales, logits, 1))
        loss = -np.sum(targets * log_probabilities) / len(labels)
        slope = np.tensordot(logits, np.exp(log_probabilities) - targets, axes=([1, 2], [0, 1])) / len(labels)
        return float(loss), slope

    start = np.ones(len(parts))
    found = optimize.minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", bounds=[_BOUNDS] * len(parts))
    return np.asarray(found.x)


def calibrate(layer: tf.keras.layers.Layer, logits: np.ndarray, labels: np.ndarray) -> float:
    """Scales the last dense layer's weights in place for its logits on validation; returns the factor."""
    (factor,) = fit_scales([logits], labels)
    layer.set_weights([weight * factor for weight in layer.get_weights()])
    return float(factor)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean cross-entropy of logits [N, C] with labels [N]."""
    return float(-np.mean(_log_softmax(logits)[np.arange(len(labels)), labels]))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
