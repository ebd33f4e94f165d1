"""The classifier's three parts: input layer, feature extractor, classification layers.

Called by `components.model.trainer` and by the benchmarks.
"""

import tensorflow as tf
import tensorflow_hub as hub


def build_head(feature_size: int, num_classes: int, hidden_units: int, seed: int) -> tf.keras.Sequential:
    """Builds the classification layers: Dense, ReLU, Dense.

    Args:
        feature_size: D, the length of a feature vector.
        num_classes: C, at least 2.
        hidden_units: Units of the hidden layer.
        seed: Seeds the initial weights, so that they do not depend on what ran before in the process.

    Returns:
        A model from float32 [N, D] to logits float32 [N, C].
    """
    glorot = tf.keras.initializers.GlorotUniform
    return tf.keras.Sequential(
        [
            tf.keras.layers.InputLayer((feature_size,), name="feature_vector"),
            tf.keras.layers.Dense(hidden_units, kernel_initializer=glorot(seed), name="hidden"),
            tf.keras.layers.ReLU(name="relu"),
            tf.keras.layers.Dense(num_classes, kernel_initializer=glorot(seed + 1), dtype="float32", name="logits"),
        ],
        name="classification_layers",
    )


def build_classifier(
    backbone_path: str, image_size: tuple[int, int], head: tf.keras.Model, trainable: bool = False
) -> tf.keras.Sequential:
    """Puts a head on a TF Hub feature vector.

    Args:
        backbone_path: Folder of a TF2 SavedModel from float32 [N, H, W, 3] in [0, 1] to float32 [N, D].
        image_size: (H, W) in pixels.
        head: The classification layers, from [N, D] to logits [N, C].
        trainable: False for transfer learning (frozen backbone), True for fine-tuning.

    Returns:
        A model from float32 [N, H, W, 3] to logits float32 [N, C].
    """
    return tf.keras.Sequential(
        [
            tf.keras.layers.InputLayer((*image_size, 3), name="image"),
            hub.KerasLayer(backbone_path, trainable=trainable, name="feature_extractor"),
            head,
        ],
        name="classifier",
    )
