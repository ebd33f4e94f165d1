"""What the served model needs to say how familiar a photo is: fitted on features of train, calibrated on validation."""

import logging
from collections.abc import Iterable
from typing import Final

import numpy as np
import tensorflow as tf

from components.modeling.serving import Familiarity

logger = logging.getLogger(__name__)

# A photo is compared with that many training photos at most, or a model would grow with the photos it was trained on.
MAX_REFERENCES: Final = 2048
# Of those, how many are a training photo's neighbours.
_NEIGHBORS: Final = 128
# As fine as the share of validation photos has to be told.
_MAX_QUANTILES: Final = 10_000


def fit_familiarity(train_features: np.ndarray, validation_features: Iterable[np.ndarray]) -> Familiarity:
    """Fits the familiarity of photos to a model.

    Args:
        train_features: Features of training photos, float32 [N, D]; the first `MAX_REFERENCES` are used.
        validation_features: Batches of the validation photos' features, float32 [N, D].

    Returns:
        What `ServingModel` takes.
    """
    references = Familiarity.directions(tf.constant(train_features[:MAX_REFERENCES], tf.float32)).numpy()
    similarities = _mean_similarities(references)
    uncalibrated = Familiarity(references, similarities, np.zeros(1, np.float32))
    likeness = np.sort(np.concatenate([uncalibrated.likeness(batch).numpy() for batch in validation_features]))
    logger.info(
        "Familiarity: compared with %d training photos, told by %d of validation", len(references), len(likeness)
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


def photo_features(classifier: tf.keras.Sequential, photos: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Extracts features that nobody has extracted yet, such as a fine-tuned backbone's.

    Args:
        classifier: Input layer, feature extractor and classification layers.
        photos: Batches of (float32 [N, H, W, 3] in [0, 1], int64 [N]).

    Returns:
        Features float32 [N, D] and labels int64 [N] of all of them.
    """
    extractor = classifier.get_layer("feature_extractor")
    extract = tf.function(lambda images: extractor(images, training=False), reduce_retracing=True)
    found = [(extract(images).numpy(), labels.numpy()) for images, labels in photos]
    features, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return features, labels
