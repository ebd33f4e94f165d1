"""The strong recipe: a kernel machine beside the trained dense layers, and probabilities that are as sure as right."""

import logging
from collections.abc import Sequence
from typing import Final

import numpy as np
import tensorflow as tf

from components.modeling.head import signed_root, squared_distances, with_kernel_machine
from components.modeling.input_pipeline import FeaturePipeline
from components.trainer.calibration import calibrate, cross_entropy, fit_scales

logger = logging.getLogger(__name__)

# A photo is compared with that many training photos at most, or a model would grow with the photos it was trained on.
MAX_CENTERS: Final = 2048
# Of the Gaussian, as multiples of the median squared distance between two training photos; validation chooses.
_WIDTHS: Final = (0.5, 1.0, 2.0)
_RIDGE: Final = 0.1
_JITTER: Final = 1e-6
_BATCH_SIZE: Final = 1024


def strengthen(head: tf.keras.Sequential, features: FeaturePipeline, seed: int) -> tf.keras.Model:
    """Adds a kernel machine to trained dense layers, each with the weight that suits the validation split.

    Args:
        head: Trained dense layers; the last one's weights are scaled in place, so that they are calibrated alone, too.
        features: Both splits.
        seed: Chooses the training photos to compare with, where there are too many.

    Returns:
        Classification layers whose logits are the sum of both parts.
    """
    dense, labels = _validation_logits(head, features)
    candidates = []
    for machine in fit_kernel_machines(features, seed, dense.shape[1]):
        kernel = _validation_logits(with_kernel_machine(head, [np.zeros((), np.float32), *machine]), features)[0]
        scales = fit_scales([dense, kernel], labels)
        logits = scales[0] * dense + scales[1] * kernel
        candidates.append((cross_entropy(logits, labels), scales, machine, logits))
    loss, scales, (centers, inverse_width, coefficients), logits = min(candidates, key=lambda found: found[0])
    alone = calibrate(head.layers[-1], dense, labels)
    accuracy = np.mean(logits.argmax(axis=1) == labels)
    logger.info(
        "Kernel machine over %d training photos, weights of dense layers and of it %.3f and %.3f: validation loss "
        "%.4f, validation accuracy %.4f",
        len(centers), *scales, loss, accuracy,
    )  # fmt: skip
    # Dense layers of no use get no weight, alone or beside the kernel machine.
    weight, factor = np.array([scales[0] / alone if alone else 0, scales[1]], np.float32)
    return with_kernel_machine(head, [weight, centers, inverse_width, coefficients * factor])


def fit_kernel_machines(features: FeaturePipeline, seed: int, num_classes: int) -> list[list[np.ndarray]]:
    """Fits kernel ridge regression on labels, once per width of the Gaussian, in two passes over the training split.

    With more training photos than `MAX_CENTERS` a random choice of them are centers, and all of them are fitted
    (Rudi et al., "Less is more: Nyström computational regularization", NIPS 2015).

    Args:
        features: Both splits.
        seed: The choice follows from it.
        num_classes: C.

    Returns:
        Per width, the last weights of `KernelLogits`: centers [M, D], inverse width, coefficients [M, C].
    """
    centers = signed_root(tf.constant(training_sample(features, MAX_CENTERS, seed), tf.float64))
    between = squared_distances(centers, centers)
    median = float(np.median(between.numpy()[~np.eye(len(centers), dtype=bool)])) if len(centers) > 1 else 1.0
    inverse_widths = [1 / (width * max(median, _JITTER)) for width in _WIDTHS]
    grams = [tf.zeros_like(between) for _ in _WIDTHS]
    targets = [tf.zeros([len(centers), num_classes], tf.float64) for _ in _WIDTHS]
    for batch, labels in features.training_batches(_BATCH_SIZE, seed, 0):
        distances = squared_distances(signed_root(tf.cast(batch, tf.float64)), centers)
        truth = tf.one_hot(labels, num_classes, dtype=tf.float64) - 1 / num_classes
        for index, inverse_width in enumerate(inverse_widths):
            likeness = tf.exp(-inverse_width * distances)
            grams[index] += tf.matmul(likeness, likeness, transpose_a=True)
            targets[index] += tf.matmul(likeness, truth, transpose_a=True)
    jitter = _JITTER * tf.eye(len(centers), dtype=tf.float64)
    return [
        [
            centers.numpy().astype(np.float32),
            np.array(inverse_width, np.float32),
            _solve(gram + _RIDGE * tf.exp(-inverse_width * between) + jitter, target),
        ]
        for inverse_width, gram, target in zip(inverse_widths, grams, targets, strict=True)
    ]


def _solve(matrix: tf.Tensor, target: tf.Tensor) -> np.ndarray:
    solution = tf.linalg.cholesky_solve(tf.linalg.cholesky(matrix), target)
    return np.asarray(solution, np.float32)


def training_sample(features: FeaturePipeline, size: int, seed: int) -> np.ndarray:
    """Returns the features of the first training photos of a shuffled epoch, float32 [N, D]; N is `size` at most."""
    batches = features.training_batches(_BATCH_SIZE, seed, 0).take(-(-size // _BATCH_SIZE))
    return np.concatenate([batch.numpy() for batch, _ in batches])[:size]


def _validation_logits(head: tf.keras.Model, features: FeaturePipeline) -> Sequence[np.ndarray]:
    """Returns logits [N, C] and labels [N] of the validation split."""
    batches = [(head(batch, training=False).numpy(), labels.numpy()) for batch, labels in features.validation_batches()]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
