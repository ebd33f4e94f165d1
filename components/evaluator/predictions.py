"""Per-photo predictions of an evaluated model, and the check that its signatures agree.

Called by Evaluator's executor.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from components import constants
from components.errors import UserError
from components.model.serving import SERVING_SIGNATURE

# Float32 through the same graph: features rounded once on disk, sums in another order.
TOLERANCE = 1e-4
SAMPLE_SIZE = 32
_BATCH_SIZE = 256


def predict(signature: Callable[..., dict[str, tf.Tensor]], examples: tf.data.Dataset) -> Iterator[dict[str, Any]]:
    """Classifies serialized examples.

    Args:
        signature: A signature of the exported model that takes `examples`, string [N].
        examples: Serialized tf.Examples with `id` and `label`.

    Yields:
        Per example `id`, `label` (int) and `probabilities` (C floats).
    """
    spec = {
        constants.ID_KEY: tf.io.FixedLenFeature([], tf.string),
        constants.LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
    }
    for batch in examples.batch(_BATCH_SIZE):
        parsed = tf.io.parse_example(batch, spec)
        probabilities = signature(examples=batch)["probabilities"].numpy()
        ids, labels = parsed[constants.ID_KEY].numpy(), parsed[constants.LABEL_KEY].numpy()
        for example_id, label, row in zip(ids, labels, probabilities, strict=True):
            yield {
                "id": example_id.decode(errors="backslashreplace"),
                "label": int(label),
                "probabilities": [round(float(p), 6) for p in row],
            }


def serving_difference(model: Any, signature_name: str, examples: Iterable[bytes]) -> float:
    """Compares the evaluated signature with the one that is served, on photos.

    Args:
        model: A loaded SavedModel.
        signature_name: The signature that was evaluated, from serialized examples.
        examples: Serialized examples that carry their photo.

    Returns:
        The largest absolute difference between two probabilities; 0.0 without examples.

    Raises:
        UserError: The difference is above `TOLERANCE`: metrics would not be those of the served model.
    """
    batch = list(examples)
    if not batch:
        return 0.0
    spec = {constants.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}
    photos = tf.io.parse_example(batch, spec)[constants.IMAGE_KEY]
    evaluated = model.signatures[signature_name](examples=tf.constant(batch))["probabilities"]
    served = model.signatures[SERVING_SIGNATURE](image_bytes=photos)["probabilities"]
    difference = float(np.max(np.abs(evaluated.numpy() - served.numpy())))
    if difference > TOLERANCE:
        raise UserError(
            f"the served signature differs from the evaluated one by {difference:.2g} in probability on "
            f"{len(batch)} photos (tolerance {TOLERANCE:g}): extract the features again with --no-cache"
        )
    return difference
