"""The loss that is trained by, and loss and accuracy of a split, added up batch by batch."""

import tensorflow as tf


def cross_entropies(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns categorical cross-entropies from logits, float32 [N].

    Args:
        labels: int64 [N], or float32 [N, C], the classes' shares.
        logits: float32 [N, C].
    """
    if labels.dtype.is_integer:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


def smoothed(losses: tf.Tensor, logits: tf.Tensor, share: float) -> tf.Tensor:
    """Label smoothing (Szegedy et al., https://arxiv.org/abs/1512.00567).

    Args:
        losses: Cross-entropies float32 [N].
        logits: float32 [N, C].
        share: In [0, 1), of a label's weight: it is spread evenly over all classes.

    Returns:
        Cross-entropies with the smoothed labels, float32 [N].
    """
    if not share:
        return losses
    uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
    return (1 - share) * losses + share * uniform


class StreamingMetrics:
    """Streaming means over the examples seen since the last reset; counts over all replicas of a strategy."""

    def __init__(self) -> None:
        """Creates the metrics; to be called under the scope of the strategy that trains."""
        self._loss = tf.keras.metrics.Mean()
        self._accuracy = tf.keras.metrics.SparseCategoricalAccuracy()

    def reset(self) -> None:
        """Forgets everything seen."""
        self._loss.reset_state()
        self._accuracy.reset_state()

    def update(self, losses: tf.Tensor, labels: tf.Tensor, logits: tf.Tensor) -> None:
        """Adds a batch.

        Args:
            losses: float32 [N], one per example.
            labels: int64 [N], or float32 [N, C], the classes' shares, of which the largest counts.
            logits: float32 [N, C].
        """
        self._loss.update_state(losses)
        self._accuracy.update_state(labels if labels.dtype.is_integer else tf.argmax(labels, -1), logits)

    def results(self) -> tuple[float, float]:
        """Returns mean loss and accuracy; 0 when nothing was seen."""
        return float(self._loss.result()), float(self._accuracy.result())
