"""tf.data pipelines from raw examples to batches of pixels, for fine-tuning.

Photos are decoded by Transform's graph, the one that serving uses, on all cores and ahead of the training step; no
decoded pixel is kept.
"""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from components.common.contracts import IMAGE_KEY, LABEL_KEY, transformed_name
from components.modeling.augmentation import augment
from components.modeling.input_pipeline import epoch_seed, read_serialized

# Encoded photos held for shuffling: some 150 MB of tf_flowers, more than its training split. Examples are already
# mixed within and between the files of a split (see `components.common.examples_io`).
_SHUFFLE_BUFFER = 2048


class ImagePipeline:
    """Reads raw examples through a Transform graph."""

    def __init__(self, transform_output: tft.TFTransformOutput, batch_size: int):
        """Loads the graph.

        Args:
            transform_output: Transform's output.
            batch_size: Photos per batch; the last batch of a split may be smaller.
        """
        self._raw_spec = transform_output.raw_feature_spec()
        self._transform = transform_output.transform_features_layer()
        self._batch_size = batch_size

    def training_batches(self, file_patterns: Sequence[str], seed: int, epoch: int) -> tf.data.Dataset:
        """Shuffles, decodes and augments a split for one epoch.

        Order and augmentation depend on the seed and the epoch alone, so a resumed run sees what an undisturbed one
        would have.

        Args:
            file_patterns: Glob patterns of raw examples.
            seed: The run's seed.
            epoch: Counted from 0.

        Returns:
            Batches of (float32 [N, H, W, 3] in [0, 1], int64 [N]).
        """
        stream = epoch_seed(seed, epoch)

        def load(position: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image, label = self._decode(serialized)
            return augment(image, tf.stack([tf.constant(stream, tf.int64), position])), label

        shuffled = read_serialized(file_patterns).shuffle(_SHUFFLE_BUFFER, stream, reshuffle_each_iteration=False)
        loaded = shuffled.enumerate().map(load, num_parallel_calls=tf.data.AUTOTUNE)
        return loaded.batch(self._batch_size).prefetch(tf.data.AUTOTUNE)

    def validation_batches(self, file_patterns: Sequence[str]) -> tf.data.Dataset:
        """Decodes a split in the order of its files, as it is served: without augmentation.

        Args:
            file_patterns: Glob patterns of raw examples.

        Returns:
            Batches of (float32 [N, H, W, 3] in [0, 1], int64 [N]).
        """
        loaded = read_serialized(file_patterns).map(self._decode, num_parallel_calls=tf.data.AUTOTUNE)
        return loaded.batch(self._batch_size).prefetch(tf.data.AUTOTUNE)

    def _decode(self, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raw = tf.io.parse_example(tf.expand_dims(serialized, 0), self._raw_spec)
        transformed = self._transform(raw)
        return transformed[transformed_name(IMAGE_KEY)][0], transformed[transformed_name(LABEL_KEY)][0]
