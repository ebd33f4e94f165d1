"""Familiarity: how much a photo is like those that a model was trained on, measured on its features."""

import logging
from collections.abc import Iterable
from typing import Final

import numpy as np
import tensorflow as tf

from components.modeling.head import signed_root

logger = logging.getLogger(__name__)

MAX_REFERENCES: Final = 2048  # a model must not grow with its training split
_NEIGHBORS: Final = 128  # a training photo's own neighbours among the references
_NEAREST: Final = 8  # how many references decide about a photo; chosen with `benchmarks.familiarity`
_MAX_QUANTILES: Final = 10_000  # resolution of the share of validation photos


class Familiarity(tf.Module):
    """The share of validation photos that are less like the training photos than a photo is.

    Likeness is the cosine between the roots of a photo's features and those of training photos, less each of these
    photos' own mean cosine with its neighbours, over the nearest ones by this measure: nearest neighbours (Sun et al.,
    "Out-of-distribution detection with deep nearest neighbors", ICML 2022), without the advantage of photos that are
    near to everything (local scaling, CSLS: Conneau et al., "Word translation without parallel data", ICLR 2018).
    """

    def __init__(self, references: np.ndarray, similarities: np.ndarray, validation_likeness: np.ndarray):
        """Keeps what photos are compared with.

        `references` are the `directions` of training photos, float32 [M, D], `similarities` the mean cosine of each
        with its neighbours among them, float32 [M], and `validation_likeness` that of the validation photos, float32
        [V], ascending.
        """
        super().__init__(name="familiarity")
        self._references = tf.Variable(references, trainable=False, name="references")
        self._similarities = tf.Variable(similarities, trainable=False, name="similarities")
        self._validation_likeness = tf.Variable(validation_likeness, trainable=False, name="validation_likeness")

    @staticmethod
    def directions(features: tf.Tensor) -> tf.Tensor:
        """Returns the roots of features [N, D] as vectors of length 1."""
        return tf.math.l2_normalize(signed_root(features), axis=1)

    def likeness(self, features: tf.Tensor) -> tf.Tensor:
        """Maps features float32 [N, D] to their likeness to the nearest training photos, float32 [N]."""
        cosines = tf.matmul(self.directions(features), self._references, transpose_b=True)
        nearest, _ = tf.math.top_k(cosines - self._similarities, min(_NEAREST, self._similarities.shape[0]))
        return tf.reduce_mean(nearest, axis=1)

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Maps features float32 [N, D] to the share of validation photos that are less familiar, float32 [N]."""
        below = tf.searchsorted(self._validation_likeness, self.likeness(features))
        return tf.cast(below / tf.size(self._validation_likeness), tf.float32)


def fit_familiarity(train_features: np.ndarray, validation_features: Iterable[np.ndarray]) -> Familiarity:
    """Fits familiarity to the first `MAX_REFERENCES` of the training features [N, D]; calibrates it on validation.

    All features are float32 [N, D], those of validation in batches.
    """
    references = Familiarity.directions(tf.constant(train_features[:MAX_REFERENCES], tf.float32)).numpy()
    similarities = _mean_similarities(references)
    uncalibrated = Familiarity(references, similarities, np.zeros(1, np.float32))
    likeness = np.sort(np.concatenate([uncalibrated.likeness(batch).numpy() for batch in validation_features]))
    logger.info(
        "Familiarity: compared with %d training photos, calibrated on %d of validation", len(references), len(likeness)
    )
    if len(likeness) > _MAX_QUANTILES:
        likeness = np.quantile(likeness, np.linspace(0, 1, _MAX_QUANTILES)).astype(np.float32)
    return Familiarity(references, similarities, likeness)


def _mean_similarities(references: np.ndarray) -> np.ndarray:
    """Returns the mean cosine of each of [M, D] with its nearest neighbours among the others, [M]."""
    neighbors = min(_NEIGHBORS, len(references) - 1)
    if not neighbors:
        return np.zeros(len(references), np.float32)
    cosines = references @ references.T
    np.fill_diagonal(cosines, -np.inf)
    return np.asarray(np.partition(cosines, -neighbors, axis=1)[:, -neighbors:].mean(axis=1))
