"""tf.data pipelines from raw examples to batches of pixels, for fine-tuning.

Validation photos are decoded by Transform's graph, as in serving; training decodes random crops by the same operations
and changes their colours mildly. Decoded pixels are not kept.
"""

from collections.abc import Sequence
from typing import Final

import tensorflow as tf
import tensorflow_transform as tft

from components.contracts import IMAGE_KEY, LABEL_KEY, transformed_name
from components.modeling.input_pipeline import epoch_seed, read_serialized
from components.photos.decode import decode_image

# Encoded photos held for shuffling: some 150 MB of tf_flowers, more than its training split. Examples are already
# mixed within and between the files of a split (see `components.storage.examples_io`).
_SHUFFLE_BUFFER: Final = 2048
_CROP_ASPECT_RATIO: Final = (3 / 4, 4 / 3)
_MAX_BRIGHTNESS_CHANGE: Final = 0.1
_CONTRAST: Final = (0.8, 1.2)
_SATURATION: Final = (0.8, 1.2)
_MAX_HUE_CHANGE: Final = 0.02


class ImagePipeline:
    """Reads raw examples through a Transform graph; the last batch of a split may be smaller than `batch_size`."""

    def __init__(self, transform_output: tft.TFTransformOutput, batch_size: int):
        """Loads the graph."""
        self._raw_spec = transform_output.raw_feature_spec()
        self._transform = transform_output.transform_features_layer()
        self.batch_size = batch_size

    def training_batches(
        self, file_patterns: Sequence[str], image_size: tuple[int, int], min_crop: float, seed: int, epoch: int
    ) -> tf.data.Dataset:
        """Shuffles a split for one epoch; takes a random crop of every photo and changes its light and colour.

        Order and augmentation depend on the seed and the epoch alone, so a resumed run sees the same batches: (float32
        [N, height, width, 3] in [0, 1], int64 [N]). `image_size` is the (height, width) in pixels that crops are
        resized to, `min_crop` the smallest share of a photo's area in a crop, in (0, 1]; epochs count from 0.
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
        """Decodes a split in the order of its files into batches of (float32 [N, H, W, 3] in [0, 1], int64 [N])."""
        loaded = read_serialized(file_patterns).map(self._decode, num_parallel_calls=tf.data.AUTOTUNE)
        return loaded.batch(self.batch_size).prefetch(tf.data.AUTOTUNE)

    def _decode(self, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raw = tf.io.parse_example(tf.expand_dims(serialized, 0), self._raw_spec)
        transformed = self._transform(raw)
        return transformed[transformed_name(IMAGE_KEY)][0], transformed[transformed_name(LABEL_KEY)][0]


def random_crop(image: tf.Tensor, seed: tf.Tensor, min_area: float) -> tf.Tensor:
    """Cuts a random rectangle from an image [H, W, 3] (Szegedy et al., https://arxiv.org/abs/1409.4842).

    It covers at least the share `min_area` in (0, 1], and depends only on the seed, int64 [2], and the image's size.
    """
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        bounding_boxes=tf.zeros([1, 0, 4]),
        seed=seed,
        area_range=(min_area, 1.0),
        aspect_ratio_range=_CROP_ASPECT_RATIO,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.slice(image, begin, size)


def flip_and_colour(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors a photo half of the time and changes its light and colour; float32 [H, W, 3] in [0, 1].

    The result depends only on the seed, int64 [2], and the image.
    """
    seeds = tf.random.split(seed, 5)
    image = tf.image.stateless_random_flip_left_right(image, seeds[0])
    image = tf.image.stateless_random_brightness(image, _MAX_BRIGHTNESS_CHANGE, seeds[1])
    image = tf.image.stateless_random_contrast(image, *_CONTRAST, seeds[2])
    image = tf.image.stateless_random_saturation(image, *_SATURATION, seeds[3])
    image = tf.image.stateless_random_hue(image, _MAX_HUE_CHANGE, seeds[4])
    return tf.clip_by_value(image, 0.0, 1.0)
