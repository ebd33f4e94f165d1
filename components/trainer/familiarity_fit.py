"""What the served model needs to say how familiar a photo is: fitted on features of train, calibrated on validation."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import tensorflow as tf

from components.modeling.image_pipeline import ImagePipeline
from components.modeling.serving import Familiarity

logger = logging.getLogger(__name__)

# A photo is compared with that many training photos at most, or a model would grow with the photos it was trained on.
MAX_REFERENCES: Final = 2048
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
    uncalibrated = Familiarity(references, np.zeros(1, np.float32))
    likeness = np.sort(np.concatenate([uncalibrated.likeness(batch).numpy() for batch in validation_features]))
    logger.info(
        "Familiarity: compared with %d training photos, told by %d of validation", len(references), len(likeness)
    )
    if len(likeness) > _MAX_QUANTILES:
        likeness = np.quantile(likeness, np.linspace(0, 1, _MAX_QUANTILES)).astype(np.float32)
    return Familiarity(references, likeness)


def fit_familiarity_on_photos(
    classifier: tf.keras.Sequential, images: ImagePipeline, train_files: Sequence[str], validation_files: Sequence[str]
) -> Familiarity:
    """Fits it for a backbone whose features nobody has extracted, such as a fine-tuned one: a pass over the photos.

    Args:
        classifier: Input layer, feature extractor and classification layers.
        images: How photos are read.
        train_files: Glob patterns of raw examples; they are in the order of a hash, and so the first ones are a sample.
        validation_files: The same of the validation split.

    Returns:
        What `ServingModel` takes.
    """
    extract = classifier.get_layer("feature_extractor")

    def features_of(files: Sequence[str]) -> Iterator[np.ndarray]:
        return (extract(photos, training=False).numpy() for photos, _ in images.validation_batches(files))

    train: list[np.ndarray] = []
    for batch in features_of(train_files):
        train.append(batch)
        if sum(map(len, train)) >= MAX_REFERENCES:
            break
    return fit_familiarity(np.concatenate(train), features_of(validation_files))
