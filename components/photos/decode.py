"""From a photo's bytes to pixels, in TensorFlow's operations alone: served and trained on alike."""

from collections.abc import Callable

import tensorflow as tf

from components.photos.exif import is_transposed, read_orientation, turn_upright

_CHANNELS = 3


def decode_image(
    image_bytes: tf.Tensor, height: int, width: int, crop: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> tf.Tensor:
    """Decodes one photo to the input of a TF Hub image module.

    The reference recipe's chain: decode, convert to float in [0, 1], resize bilinearly without keeping the aspect
    ratio. Grayscale, CMYK and progressive JPEGs are decoded to RGB; the first frame of a GIF is used. A JPEG is turned
    the way that its EXIF data tells.

    Args:
        image_bytes: A string scalar, the file as stored (any of `IMAGE_FORMATS`).
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        crop: What to take of the photo before it is resized, from uint8 [H, W, 3] as stored, not turned yet, to
            uint8 [H', W', 3]; None for all of it.

    Returns:
        float32 [height, width, 3] in [0, 1].
    """
    image = tf.io.decode_image(image_bytes, channels=_CHANNELS, expand_animations=False)
    image.set_shape([None, None, _CHANNELS])
    image = tf.image.convert_image_dtype(crop(image) if crop else image, tf.float32)
    orientation = read_orientation(image_bytes)
    # Turned when it is small already: the result is the same.
    size = tf.where(is_transposed(orientation), [width, height], [height, width])
    return tf.ensure_shape(turn_upright(tf.image.resize(image, size), orientation), [height, width, _CHANNELS])
