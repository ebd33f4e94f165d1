"""Random changes of training photos: crop, flip and colour.

Mild in colour, for a backbone that is already trained: flowers stay recognisable.
"""

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
