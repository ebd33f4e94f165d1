"""Per-photo predictions of an evaluated model, and the check that its signatures agree."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from components.common import contracts
from components.common.contracts.evaluation import ExamplePrediction
from components.common.errors import UserError
from components.common.photo_formats.photo_conversion import source_of

# Float32 through the same graph: features rounded once on disk, sums in another order.
TOLERANCE = 1e-4
SAMPLE_SIZE = 32
_BATCH_SIZE = 256


def predict(
    classify: Callable[[Sequence[bytes]], np.ndarray], examples: tf.data.Dataset
) -> Iterator[ExamplePrediction]:
    """Classifies serialized examples.

    Args:
        classify: From N serialized examples to probabilities [N, C].
        examples: Serialized tf.Examples with `id`, `label` and `image`.

    Yields:
        One prediction per example.
    """
    spec = {
        contracts.ID_KEY: tf.io.FixedLenFeature([], tf.string),
        contracts.LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
        contracts.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string),
    }
    for batch in examples.batch(_BATCH_SIZE):
        parsed = tf.io.parse_example(batch, spec)
        probabilities = classify(batch.numpy())
        ids, labels, photos = (parsed[key].numpy() for key in spec)
        for example_id, label, photo, row in zip(ids, labels, photos, probabilities, strict=True):
            yield ExamplePrediction(
                id=example_id.decode(errors="backslashreplace"),
                label=int(label),
                probabilities=[round(float(p), 6) for p in row],
                digest=source.digest if (source := source_of(photo)) else hashlib.sha256(photo).hexdigest(),
            )


def serving_difference(
    classify: Callable[[Sequence[bytes]], np.ndarray],
    serve: Callable[..., dict[str, tf.Tensor]],
    examples: Iterable[bytes],
) -> float:
    """Compares what is evaluated with what is served, on photos.

    Args:
        classify: What was evaluated, from N serialized examples to probabilities [N, C].
        serve: The exported model's signature from `image_bytes`, string [N].
        examples: Serialized examples that carry their photo.

    Returns:
        The largest absolute difference between two probabilities; 0.0 without examples.

    Raises:
        UserError: The difference is above `TOLERANCE`: metrics would not be those of the served model.
    """
    batch = list(examples)
    if not batch:
        return 0.0
    spec = {contracts.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}
    photos = tf.io.parse_example(batch, spec)[contracts.IMAGE_KEY]
    served = serve(image_bytes=photos)["probabilities"].numpy()
    difference = float(np.max(np.abs(classify(batch) - served)))
    if difference > TOLERANCE:
        raise UserError(
            f"the served signature differs from the evaluated one by {difference:.2g} in probability on "
            f"{len(batch)} photos (tolerance {TOLERANCE:g}): extract the features again with --no-cache"
        )
    return difference
