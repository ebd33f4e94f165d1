"""tf.data pipelines from raw examples to batches of pixels, for fine-tuning.

For validation photos are decoded by Transform's graph, the one that serving uses; training decodes crops of them by the
same operations. All of it on all cores and ahead of the training step; no decoded pixel is kept.
"""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from components.contracts import IMAGE_KEY, LABEL_KEY, transformed_name
from components.modeling.augmentation import flip_and_colour, random_crop
from components.modeling.input_pipeline import epoch_seed, read_serialized
from components.photos.decode import decode_image

# Encoded photos held for shuffling: some 150 MB of tf_flowers, more than its training split. Examples are already
# mixed within and between the files of a split (see `components.storage.examples_io`).
_SHUFFLE_BUFFER = 2048


class ImagePipeline:
    """Reads raw examples through a Transform graph.

    Attributes:
        batch_size: Photos per batch.
    """

    def __init__(self, transform_output: tft.TFTransformOutput, batch_size: int):
        """Loads the graph.

        Args:
            transform_output: Transform's output.
            batch_size: Photos per batch; the last batch of a split may be smaller.
        """
        self._raw_spec = transform_output.raw_feature_spec()
        self._transform = transform_output.transform_features_layer()
        self.batch_size = batch_size

    def training_batches(
        self, file_patterns: Sequence[str], image_size: tuple[int, int], min_crop: float, seed: int, epoch: int
    ) -> tf.data.Dataset:
        """Shuffles a split for one epoch, and takes a random crop of every photo, with random light and colour.

        Order and augmentation depend on the seed and the epoch alone, so a resumed run sees what an undisturbed one
        would have.

        Args:
            file_patterns: Glob patterns of raw examples.
            image_size: (height, width) in pixels that crops are resized to.
            min_crop: The smallest share of a photo's area that a crop takes, in (0, 1].
            seed: The run's seed.
            epoch: Counted from 0.

        Returns:
            Batches of (float32 [N, height, width, 3] in [0, 1], int64 [N]).
        """
        stream = epoch_seed(seed, epoch)

        def load(position: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            raw = tf.io.parse_single_example(serialized, self._raw_spec)
            crop_seed, other_seed = tf.unstack(tf.random.split(tf.stack([tf.constant(stream, tf.int64), position])))
            photo = tf.reshape(raw[IMAGE_KEY], [])
            image = decode_image(photo, *image_size, lambda whole: random_crop(whole, crop_seed, min_crop))
            return flip_and_colour(image, other_seed), tf.reshape(raw[LABEL_KEY], [])

        shuffled = read_serialized(file_patterns).shuffle(_SHUFFLE_BUFFER, stream, reshuffle_each_iteration=False)
        loaded = shuffled.enumerate().map(load, num_parallel_calls=tf.data.AUTOTUNE)
        return loaded.batch(self.batch_size).prefetch(tf.data.AUTOTUNE)

    def count_batches(self, file_patterns: Sequence[str]) -> int:
        """Counts the batches of a split by reading its files."""
        batches = read_serialized(file_patterns).batch(self.batch_size)
        return int(batches.reduce(tf.constant(0, tf.int64), lambda total, _: total + 1))

    def validation_batches(self, file_patterns: Sequence[str]) -> tf.data.Dataset:
        """Decodes a split in the order of its files, as it is served: without augmentation.

        Args:
            file_patterns: Glob patterns of raw examples.

        Returns:
            Batches of (float32 [N, H, W, 3] in [0, 1], int64 [N]).
        """
        loaded = read_serialized(file_patterns).map(self._decode, num_parallel_calls=tf.data.AUTOTUNE)
        return loaded.batch(self.batch_size).prefetch(tf.data.AUTOTUNE)

    def _decode(self, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raw = tf.io.parse_example(tf.expand_dims(serialized, 0), self._raw_spec)
        transformed = self._transform(raw)
        return transformed[transformed_name(IMAGE_KEY)][0], transformed[transformed_name(LABEL_KEY)][0]
