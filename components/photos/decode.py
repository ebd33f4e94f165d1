"""Decoding of photos by TensorFlow operations, in training and in the served model alike."""

from collections.abc import Callable

import tensorflow as tf

from components.photos.exif import is_transposed, read_orientation, turn_upright

_CHANNELS = 3


def decode_image(
    image_bytes: tf.Tensor, height: int, width: int, crop: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> tf.Tensor:
    """Decodes one photo to the input of a TF Hub image module.

    As in the reference recipe: decoded, converted to float in [0, 1], resized bilinearly without keeping the aspect
    ratio. Grayscale, CMYK and progressive JPEGs become RGB; the first frame of a GIF is used. A JPEG is rotated
    according to EXIF.

    Args:
        image_bytes: String scalar, a file in one of `NATIVE_FORMATS`.
        height: Of the result, in pixels.
        width: Of the result, in pixels.
        crop: From uint8 [H, W, 3] as stored, not rotated yet, to the part that is resized, uint8 [H', W', 3].

    Returns:
        float32 [height, width, 3] in [0, 1].
    """
    image = tf.io.decode_image(image_bytes, channels=_CHANNELS, expand_animations=False)
    image.set_shape([None, None, _CHANNELS])
    image = tf.image.convert_image_dtype(crop(image) if crop else image, tf.float32)
    orientation = read_orientation(image_bytes)
    # Rotated after resizing, which gives the same result faster.
    size = tf.where(is_transposed(orientation), [width, height], [height, width])
    return tf.ensure_shape(turn_upright(tf.image.resize(image, size), orientation), [height, width, _CHANNELS])
