"""The size of what fine-tuning trains on; called by `fine_tuning`."""

from collections.abc import Sequence

import tensorflow as tf

from components.modeling.backbones.contract import takes_any_size
from components.modeling.hyperparameters import Size

# Objects in a random crop look larger than in the whole photo: trained on smaller images, the classifier sees them in
# the size that it will be served (Touvron et al., "Fixing the train-test resolution discrepancy",
# https://arxiv.org/abs/1906.06423), and in less time. 176 pixels for 224, as torchvision's recipes have it
# (https://pytorch.org/blog/how-to-train-state-of-the-art-models-using-torchvision-latest-primitives/).
_TRAINING_SCALE = 176 / 224


def crop_size(backbone: tf.Module, served: Size, asked: Sequence[int] | None) -> Size:
    """Returns the size that crops of photos are resized to.

    Args:
        backbone: Loaded.
        served: (height, width) in pixels of what the classifier reads when it is served.
        asked: What the user asks for, a list once it has been JSON, and the backbone takes; None for what suits it.

    Returns:
        (height, width) in pixels.
    """
    if asked:
        return asked[0], asked[1]
    height, width = (round(_TRAINING_SCALE * pixels) for pixels in served)
    return (height, width) if takes_any_size(backbone) else served
