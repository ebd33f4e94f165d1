"""The Transform component's `preprocessing_fn`: JPEG bytes to the pixels a backbone reads."""

from typing import Any

import tensorflow as tf

from components.contracts import ID_KEY, IMAGE_KEY, LABEL_KEY, transformed_name
from components.photos.decode import decode_image

_CHANNELS = 3


def preprocessing_fn(inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Transforms raw examples: all preprocessing of training and serving.

    From `image` string, `label` int64 and `id` string, each [N, 1], to `image_xf` float32 [N, height, width, 3] in [0,
    1], `label_xf` int64 [N] and `id_xf` string [N]; `custom_config` holds `image_size`, the [height, width] in pixels.
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
