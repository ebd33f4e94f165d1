"""Random changes of training photos: crop, flip, colour and mixtures.

Mild in colour, for a backbone that is already trained: flowers stay recognisable.
"""

import numpy as np
import tensorflow as tf

_CROP_ASPECT_RATIO = (3 / 4, 4 / 3)
_MAX_BRIGHTNESS_CHANGE = 0.1
_CONTRAST = (0.8, 1.2)
_SATURATION = (0.8, 1.2)
_MAX_HUE_CHANGE = 0.02


def random_crop(image: tf.Tensor, seed: tf.Tensor, min_area: float) -> tf.Tensor:
    """Cuts out a random rectangle (Szegedy et al., "Going deeper with convolutions", https://arxiv.org/abs/1409.4842).

    Args:
        image: [H, W, 3] of any type.
        seed: int64 [2]; the rectangle depends on it and the size alone.
        min_area: The smallest share of the area, in (0, 1].

    Returns:
        [H', W', 3].
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
    """Mirrors a photo half of the time, and changes its light and colour.

    Args:
        image: float32 [H, W, 3] in [0, 1].
        seed: int64 [2]; the result depends on it and the image alone.

    Returns:
        float32 [H, W, 3] in [0, 1].
    """
    seeds = tf.random.split(seed, 5)
    image = tf.image.stateless_random_flip_left_right(image, seeds[0])
    image = tf.image.stateless_random_brightness(image, _MAX_BRIGHTNESS_CHANGE, seeds[1])
    image = tf.image.stateless_random_contrast(image, *_CONTRAST, seeds[2])
    image = tf.image.stateless_random_saturation(image, *_SATURATION, seeds[3])
    image = tf.image.stateless_random_hue(image, _MAX_HUE_CHANGE, seeds[4])
    return tf.clip_by_value(image, 0.0, 1.0)


def mix_up(batches: tf.data.Dataset, alpha: float, num_classes: int, seed: int) -> tf.data.Dataset:
    """Mixes every photo, and its label, with another one of its batch (mixup, https://arxiv.org/abs/1710.09412).

    A photo keeps the larger share of its mixture. The shares depend on the seed and the position alone.

    Args:
        batches: Of (float32 [N, H, W, 3], int64 [N] below `num_classes`), in random order.
        alpha: Of the Beta distribution that shares are drawn from, greater than 0; the larger, the more even.
        num_classes: C.
        seed: Of the shares.

    Returns:
        Batches of (float32 [N, H, W, 3], float32 [N, C]: the classes' shares).
    """

    def mix(position: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = batch
        seeds = tf.random.split(tf.stack([tf.constant(seed, tf.int64), position]))
        shape = [2, tf.shape(labels)[0]]
        # Two Gamma variates make a Beta variate. Their logarithms, for with a small alpha they are next to 0
        # (Marsaglia and Tsang 2000, section 6).
        larger = tf.random.stateless_gamma(shape, seeds[0], alpha + 1)
        uniform = tf.random.stateless_uniform(shape, seeds[1], minval=np.finfo(np.float32).tiny)
        first, second = tf.unstack(tf.math.log(larger) + tf.math.log(uniform) / alpha)
        own = tf.sigmoid(tf.abs(first - second))

        def mixture(values: tf.Tensor) -> tf.Tensor:
            share = tf.reshape(own, [-1] + [1] * (values.shape.rank - 1))
            return share * values + (1 - share) * tf.reverse(values, [0])

        return mixture(images), mixture(tf.one_hot(labels, num_classes))

    return batches.enumerate().map(mix, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
