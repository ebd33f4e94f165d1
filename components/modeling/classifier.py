"""The classifier's three parts: input layer, feature extractor, classification layers."""

import math
from typing import Any, Final

import tensorflow as tf
import tensorflow_hub as hub

# The share of a backbone's layers that is fine-tuned by default: the first ones, whose images are large, cost the most
# and change the least.
_FINE_TUNED_SHARE: Final = 0.8


class FeatureExtractorLayer(hub.KerasLayer):
    """A Hub module whose batch normalisation stays in inference mode, even while its weights are trained.

    The batches of fine-tuning are too small and too few for new moving averages: updating them destroys what the
    backbone has learned (https://keras.io/guides/transfer_learning/).
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Maps float32 [N, H, W, 3] in [0, 1] to float32 [N, D]; `training` is ignored."""
        return super().call(inputs, training=False)


# Without Python control flow on tensors, AutoGraph's conversion only costs time.
@tf.autograph.experimental.do_not_convert
def build_classifier(
    backbone: Any, image_size: tuple[int | None, int | None], head: tf.keras.Model, trainable: bool = False
) -> tf.keras.Sequential:
    """Puts a head on a TF Hub feature vector: from float32 [N, H, W, 3] in [0, 1] to logits float32 [N, C].

    The backbone is a TF2 SavedModel from such images to float32 [N, D], loaded or its folder; `trainable` fine-tunes
    it. `image_size` is (H, W) in pixels; None stands for any that the backbone takes.
    """
    if isinstance(backbone, str):
        # Given a path, KerasLayer imports Keras 3 before it notices that it wants Keras 2.
        backbone = hub.load(backbone)
    return tf.keras.Sequential(
        [
            tf.keras.layers.InputLayer((*image_size, 3), name="image"),
            FeatureExtractorLayer(backbone, trainable=trainable, name="feature_extractor"),
            head,
        ],
        name="classifier",
    )


def last_layers(backbone: Any, num_layers: int | None) -> list[tf.Variable]:
    """Returns the trainable variables of a loaded backbone's last layers, in the order in which it uses them.

    `num_layers` counts from the output; 0 is all, None the last four fifths. Variables of a layer share their name up
    to the last slash: a convolution and the batch normalisation after it are two layers.
    """
    # A traced function lists its variables as it first met them, from input to output; `trainable_variables` may be
    # sorted by name. Variables that this trace does not use come first.
    (traced, *_) = backbone.__call__.concrete_functions
    positions = {id(variable): position for position, variable in enumerate(traced.variables)}
    variables = sorted(backbone.trainable_variables, key=lambda variable: positions.get(id(variable), -1))
    layers = list(dict.fromkeys(map(_layer_name, variables)))
    chosen = set(layers[-(math.ceil(_FINE_TUNED_SHARE * len(layers)) if num_layers is None else num_layers) :])
    return [variable for variable in variables if _layer_name(variable) in chosen]


def _layer_name(variable: tf.Variable) -> str:
    return str(variable.name.rpartition("/")[0] or variable.name)
