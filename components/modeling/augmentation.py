"""Random changes of training photos: flip, crop and colour.

Mild ones, for a backbone that is already trained: flowers stay recognisable, and validation photos stay what the
backbone knows.
"""

import tensorflow as tf

# The crop of Szegedy et al., "Going deeper with convolutions" (https://arxiv.org/abs/1409.4842), which takes at least
# 8% of the area; fine-tuning for a few epochs has no use for such strong ones.
_CROP_AREA = (0.7, 1.0)
_CROP_ASPECT_RATIO = (3 / 4, 4 / 3)
_MAX_BRIGHTNESS_CHANGE = 0.1
_CONTRAST = (0.8, 1.2)
_SATURATION = (0.8, 1.2)
_MAX_HUE_CHANGE = 0.02


def augment(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Flips, crops and colours a photo at random.

    Args:
        image: float32 [H, W, 3] in [0, 1].
        seed: int64 [2]; the result depends on it and the image alone.

    Returns:
        float32 [H, W, 3] in [0, 1].
    """
    seeds = tf.random.split(seed, 6)
    image = tf.image.stateless_random_flip_left_right(image, seeds[0])
    image = _random_crop(image, seeds[1])
    image = tf.image.stateless_random_brightness(image, _MAX_BRIGHTNESS_CHANGE, seeds[2])
    image = tf.image.stateless_random_contrast(image, *_CONTRAST, seeds[3])
    image = tf.image.stateless_random_saturation(image, *_SATURATION, seeds[4])
    image = tf.image.stateless_random_hue(image, _MAX_HUE_CHANGE, seeds[5])
    return tf.clip_by_value(image, 0.0, 1.0)


def _random_crop(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Cuts out a random rectangle and resizes it to the whole."""
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        bounding_boxes=tf.zeros([1, 0, 4]),
        seed=seed,
        area_range=_CROP_AREA,
        aspect_ratio_range=_CROP_ASPECT_RATIO,
        use_image_if_no_bounding_boxes=True,
    )
    cropped = tf.slice(image, begin, size)
    resized = tf.image.resize(cropped, tf.shape(image)[:2])
    return tf.ensure_shape(resized, image.shape)
