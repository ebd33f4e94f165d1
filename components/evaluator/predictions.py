"""Per-photo predictions of an evaluated model, and the check that its signatures agree."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from components import contracts
from components.common.errors import UserError
from components.contracts.evaluation import ExamplePrediction
from components.photos.convert import photo_digest
from components.photos.keyed_photos import PhotoKey, photo_key

# Float32 through the same graph: features rounded once on disk, sums in another order.
TOLERANCE = 1e-4
SAMPLE_SIZE = 32
_BATCH_SIZE = 256
_DIGITS = 6


def predict(
    classify: Callable[[Sequence[bytes]], np.ndarray], examples: tf.data.Dataset
) -> Iterator[ExamplePrediction]:
    """Classifies serialized examples.

    Args:
        classify: From N serialized examples to probabilities [N, C].
        examples: Serialized tf.Examples, feature or raw ones.

    Yields:
        One prediction per example.
    """
    spec = {
        contracts.ID_KEY: tf.io.FixedLenFeature([], tf.string),
        contracts.LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
        contracts.PHOTO_DIGEST_KEY: tf.io.FixedLenFeature([], tf.string, ""),
        contracts.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string, ""),
    }
    for batch in examples.batch(_BATCH_SIZE):
        parsed = tf.io.parse_example(batch, spec)
        probabilities = classify(batch.numpy())
        columns = (parsed[key].numpy() for key in spec)
        for example_id, label, digest, photo, row in zip(*columns, probabilities, strict=True):
            key = photo_key(example_id, digest.decode() or photo_digest(photo))
            yield ExamplePrediction(
                id=key[0], label=int(label), probabilities=[round(float(p), _DIGITS) for p in row], digest=key[1]
            )


def serving_difference(
    predicted: Sequence[ExamplePrediction],
    serve: Callable[..., dict[str, tf.Tensor]],
    photos: Mapping[PhotoKey, bytes],
) -> float:
    """Compares what was evaluated with what is served, on photos.

    Args:
        predicted: What was evaluated on these photos.
        serve: The exported model's signature from `image_bytes`, string [N].
        photos: Image files as stored.

    Returns:
        The largest absolute difference between two probabilities, to six digits; 0.0 without photos.

    Raises:
        UserError: The difference is above `TOLERANCE`, or a photo was not evaluated: metrics would not be those of the
            served model.
    """
    if not photos:
        return 0.0
    evaluated = {prediction.photo: prediction.probabilities for prediction in predicted}
    if missing := len(photos.keys() - evaluated.keys()):
        raise UserError(
            f"{missing} of {len(photos)} photos are not among the features: extract them again with --no-cache"
        )
    served = serve(image_bytes=tf.constant(list(photos.values())))["probabilities"].numpy()
    difference = round(float(np.max(np.abs(np.array([evaluated[key] for key in photos]) - served))), _DIGITS)
    if difference > TOLERANCE:
        raise UserError(
            f"the served signature differs from the evaluated one by {difference:.2g} in probability on "
            f"{len(photos)} photos (tolerance {TOLERANCE:g}): extract the features again with --no-cache"
        )
    return difference
