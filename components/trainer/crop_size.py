"""The size of what fine-tuning trains on; called by `fine_tuning`, and by `pipeline.presets` before anything runs."""

from collections.abc import Sequence

import tensorflow as tf

from components.common.errors import UserError
from components.modeling.backbones.contract import takes_any_size
from components.modeling.hyperparameters import Size

# Objects in a random crop look larger than in the whole photo: trained on smaller images, the classifier sees them in
# the size that it will be served (Touvron et al., "Fixing the train-test resolution discrepancy",
# https://arxiv.org/abs/1906.06423), and in less time. 176 pixels for 224, as torchvision's recipes have it
# (https://pytorch.org/blog/how-to-train-state-of-the-art-models-using-torchvision-latest-primitives/).
_TRAINING_SCALE = 176 / 224
_FACTOR = 2


def crop_size(backbone: tf.Module, served: Size, asked: Sequence[int] | None) -> Size:
    """Returns the size that crops of photos are resized to.

    Args:
        backbone: Loaded.
        served: (height, width) in pixels of what the classifier reads when it is served.
        asked: What the user asks for, a list once it has been JSON; None for what suits the backbone.

    Returns:
        (height, width) in pixels.

    Raises:
        UserError: The backbone does not take the size asked for.
    """
    any_size = takes_any_size(backbone)
    if asked:
        check_crop_size(asked, served, any_size)
        return asked[0], asked[1]
    height, width = (round(_TRAINING_SCALE * pixels) for pixels in served)
    return (height, width) if any_size else served


def check_crop_size(asked: Sequence[int], served: Size, any_size: bool) -> None:
    """Refuses crops that a backbone does not take.

    Args:
        asked: (height, width) in pixels that the user asks for.
        served: What the backbone reads when it is served.
        any_size: Whether it takes other sizes as well.

    Raises:
        UserError: It does not take the size asked for, or what crops show would be far smaller or larger than what is
            served: a slip, which would cost the whole training.
    """
    smallest, largest = [pixels / _FACTOR for pixels in served], [pixels * _FACTOR for pixels in served]
    if tuple(asked) != served and not any_size:
        raise UserError(
            f"--fine-tune-image-size is {asked[0]}x{asked[1]}, but this backbone takes images of "
            f"{served[0]}x{served[1]} pixels alone; leave the option out"
        )
    if not all(low <= pixels <= high for low, pixels, high in zip(smallest, asked, largest, strict=True)):
        raise UserError(
            f"--fine-tune-image-size is {asked[0]}x{asked[1]}; for a classifier that is served {served[0]}x{served[1]} "
            f"pixels it must be between {'x'.join(f'{pixels:g}' for pixels in smallest)} and "
            f"{'x'.join(map(str, largest))}"
        )
