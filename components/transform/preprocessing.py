"""The Transform component's `preprocessing_fn`: JPEG bytes to the pixels a backbone reads."""

from typing import Any

import tensorflow as tf

from components.common.contracts import ID_KEY, IMAGE_KEY, LABEL_KEY, transformed_name
from components.common.exif_orientation import is_transposed, read_orientation, turn_upright

_CHANNELS = 3


def decode_image(image_bytes: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Decodes one photo to the input of a TF Hub image module.

    The reference recipe's chain: decode, convert to float in [0, 1], resize bilinearly without keeping the aspect
    ratio. Grayscale, CMYK and progressive JPEGs are decoded to RGB; the first frame of a GIF is used. A JPEG is turned
    the way that its EXIF data tells.

    Args:
        image_bytes: A string scalar, the file as stored (any of `IMAGE_FORMATS`).
        height: Height of the result in pixels.
        width: Width of the result in pixels.

    Returns:
        float32 [height, width, 3] in [0, 1].
    """
    image = tf.io.decode_image(image_bytes, channels=_CHANNELS, expand_animations=False)
    image.set_shape([None, None, _CHANNELS])
    image = tf.image.convert_image_dtype(image, tf.float32)
    orientation = read_orientation(image_bytes)
    # Turned when it is small already: the result is the same.
    size = tf.where(is_transposed(orientation), [width, height], [height, width])
    return tf.ensure_shape(turn_upright(tf.image.resize(image, size), orientation), [height, width, _CHANNELS])


def preprocessing_fn(inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Transforms raw examples; the whole of training's and serving's preprocessing.

    Args:
        inputs: `image` string [N, 1], `label` int64 [N, 1], `id` string [N, 1].
        custom_config: `image_size`, the [height, width] in pixels that the backbone reads.

    Returns:
        `image_xf` float32 [N, height, width, 3] in [0, 1], `label_xf` int64 [N], `id_xf` string [N].
    """
    height, width = custom_config["image_size"]
    images = tf.map_fn(
        lambda image_bytes: decode_image(image_bytes, height, width),
        tf.reshape(inputs[IMAGE_KEY], [-1]),
        fn_output_signature=tf.TensorSpec([height, width, _CHANNELS], tf.float32),
    )
    return {
        transformed_name(IMAGE_KEY): images,
        transformed_name(LABEL_KEY): tf.reshape(inputs[LABEL_KEY], [-1]),
        transformed_name(ID_KEY): tf.reshape(inputs[ID_KEY], [-1]),
    }
