"""The strong recipe: a kernel machine beside the trained dense layers, and calibrated probabilities."""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import tensorflow as tf
from scipy import linalg

from components.modeling.head import kernel_logits, signed_root, squared_distances, with_kernel_machine
from components.modeling.input_pipeline import FeaturePipeline
from components.trainer.calibration import calibrate, cross_entropy, fit_scales

logger = logging.getLogger(__name__)

MAX_CENTERS: Final = 2048  # a model must not grow with its training split
# Of the Gaussian, as multiples of the median squared distance between two training photos; validation chooses.
_WIDTHS: Final = (0.5, 1.0, 2.0)
_RIDGE: Final = 0.1
_JITTER: Final = 1e-6
_BATCH_SIZE: Final = 1024

KernelMachine = tuple[np.ndarray, np.ndarray, np.ndarray]  # centers [M, D], inverse width, coefficients [M, C]


def strengthen(head: tf.keras.Sequential, features: FeaturePipeline, seed: int) -> tf.keras.Model:
    """Adds a kernel machine to trained dense layers, each with the weight that suits the validation split.

    The logits are the sum of both. Scales the last dense layer's weights in place, so that the dense layers are
    calibrated alone, too. The seed chooses the training photos to compare with, if there are too many.
    """
    machines = fit_kernel_machines(features, seed, head.output_shape[-1])
    (dense, *kernels), labels = _validation_logits(head, machines, features)
    candidates = []
    for machine, kernel in zip(machines, kernels, strict=True):
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


def fit_kernel_machines(features: FeaturePipeline, seed: int, num_classes: int) -> list[KernelMachine]:
    """Fits kernel ridge regression on labels, once per width of the Gaussian.

    With more training photos than `MAX_CENTERS`, a random sample of them are centers, and all of them are fitted (Rudi
    et al., "Less is more: Nyström computational regularization", NIPS 2015).
    """
    sample, labels = training_sample(features, MAX_CENTERS + 1, seed)
    centers = _roots(sample[:MAX_CENTERS])
    between = _squared_distances(centers, centers)
    median = float(np.median(between[~np.eye(len(centers), dtype=bool)])) if len(centers) > 1 else 1.0
    inverse_widths = [1 / (width * max(median, _JITTER)) for width in _WIDTHS]
    if len(sample) > MAX_CENTERS:
        batches = features.training_batches(_BATCH_SIZE, seed, 0).as_numpy_iterator()
        prepared = ((_squared_distances(_roots(x), centers), _targets(y, num_classes)) for x, y in batches)
        coefficients = _fit_on_all(prepared, between, inverse_widths)
    else:
        targets = _targets(labels, num_classes)
        coefficients = [_fit_on_centers(np.exp(-inverse * between), targets) for inverse in inverse_widths]
    return [
        (centers.astype(np.float32), np.array(inverse, np.float32), found.astype(np.float32))
        for inverse, found in zip(inverse_widths, coefficients, strict=True)
    ]


def training_sample(features: FeaturePipeline, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns features float32 [N, D] and labels of the first photos of a shuffled epoch; N is `size` at most."""
    batches = features.training_batches(_BATCH_SIZE, seed, 0).take(-(-size // _BATCH_SIZE)).as_numpy_iterator()
    vectors, labels = (np.concatenate(parts)[:size] for parts in zip(*batches, strict=True))
    return vectors, labels


def _fit_on_centers(kernel: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Solves (K² + ridge K + jitter) c = K y, where every photo is a center, through the two factors of the matrix."""
    root = np.sqrt(_RIDGE**2 / 4 - _JITTER)
    halfway = _solve(kernel + (_RIDGE / 2 + root) * np.eye(len(kernel)), kernel @ targets)
    return _solve(kernel + (_RIDGE / 2 - root) * np.eye(len(kernel)), halfway)


def _fit_on_all(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], between: np.ndarray, inverse_widths: Sequence[float]
) -> list[np.ndarray]:
    """Accumulates normal equations over (squared distances [N, M], targets [N, C]); returns coefficients per width."""
    grams = [np.zeros_like(between) for _ in inverse_widths]
    sums = [np.zeros(()) for _ in inverse_widths]
    for distances, targets in batches:
        for index, inverse in enumerate(inverse_widths):
            kernel = np.exp(-inverse * distances)
            grams[index] += kernel.T @ kernel
            sums[index] = sums[index] + kernel.T @ targets
    return [
        _solve(gram + _RIDGE * np.exp(-inverse * between) + _JITTER * np.eye(len(between)), total)
        for gram, total, inverse in zip(grams, sums, inverse_widths, strict=True)
    ]


def _solve(matrix: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.asarray(linalg.cho_solve(linalg.cho_factor(matrix, overwrite_a=True), targets))


def _targets(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return np.eye(num_classes)[labels] - 1 / num_classes


def _roots(features: np.ndarray) -> np.ndarray:
    return np.asarray(signed_root(tf.constant(features, tf.float64)))


def _squared_distances(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Returns squared distances [N, M] in float64, which NumPy multiplies faster than TensorFlow."""
    lengths, others = (np.einsum("nd,nd->n", rows, rows) for rows in (points, centers))
    return np.maximum(lengths[:, np.newaxis] - 2 * points @ centers.T + others, 0)


def _validation_logits(
    head: tf.keras.Model, machines: Sequence[KernelMachine], features: FeaturePipeline
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the logits of the head and of each machine, [1 + machines, N, C], and labels [N]."""
    logits, labels = [], []
    for batch, batch_labels in features.validation_batches():
        distances = squared_distances(signed_root(batch), machines[0][0])
        kernels = [kernel_logits(distances, inverse, coefficients) for _, inverse, coefficients in machines]
        logits.append(np.stack([head(batch, training=False), *kernels]))
        labels.append(batch_labels.numpy())
    return np.concatenate(logits, axis=1), np.concatenate(labels)
