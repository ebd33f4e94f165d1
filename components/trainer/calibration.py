"""Temperature scaling, for one or several parts of a model: how much weight their logits get.

Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import tensorflow as tf
from scipy import optimize

_BOUNDS: Final = (0.0, 100.0)


def fit_scales(parts: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Finds the factors at which the sum of several logits has the lowest cross-entropy; it is convex in them.

    Like Platt's, the targets are not quite 0 and 1, by less the more examples there are: otherwise a few examples that
    are all right would ask for infinite sureness.

    Args:
        parts: float32 [N, C] each.
        labels: int64 [N], of examples that none of the parts was trained on.

    Returns:
        One factor per part, at least 0; a factor is one over a temperature.
    """
    logits = np.stack([part.astype(np.float64) for part in parts])
    targets = _targets(labels, logits.shape[-1])

    def loss_and_slope(scales: np.ndarray) -> tuple[float, np.ndarray]:
        log_probabilities = _log_softmax(np.tensordot(scales, logits, 1))
        loss = -np.sum(targets * log_probabilities) / len(labels)
        slope = np.tensordot(logits, np.exp(log_probabilities) - targets, axes=([1, 2], [0, 1])) / len(labels)
        return float(loss), slope

    start = np.ones(len(parts))
    found = optimize.minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", bounds=[_BOUNDS] * len(parts))
    return np.asarray(found.x)


def calibrate(layer: tf.keras.layers.Layer, logits: np.ndarray, labels: np.ndarray) -> float:
    """Scales a layer's weights, so that its logits are as sure as they are right.

    Args:
        layer: The last one, a dense layer; changed in place.
        logits: What it makes of the validation split, float32 [N, C].
        labels: int64 [N].

    Returns:
        The factor.
    """
    (factor,) = fit_scales([logits], labels)
    layer.set_weights([weight * factor for weight in layer.get_weights()])
    return float(factor)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean cross-entropy of logits [N, C] with labels [N]."""
    return float(-np.mean(_log_softmax(logits)[np.arange(len(labels)), labels]))


def _targets(labels: np.ndarray, num_classes: int) -> np.ndarray:
    doubt = 1 / (len(labels) + 2)
    return np.eye(num_classes)[labels] * (1 - doubt) + doubt / num_classes


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
