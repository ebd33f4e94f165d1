"""What trains the whole classifier: AdamW with warm-up and cosine decay, the backbone at a lower rate than the head."""

from collections.abc import Sequence
from typing import Final

import tensorflow as tf

from components.modeling.hyperparameters import FineTuning
from components.modeling.training_loop import OptimizedVariables

_WARMUP_SHARE: Final = 0.1


def fine_tuning_optimizers(
    fine_tuning: FineTuning, backbone: Sequence[tf.Variable], head: Sequence[tf.Variable], steps: int
) -> list[OptimizedVariables]:
    """Makes an optimizer each for the backbone and the head; to be called under the scope of a strategy.

    Decoupled weight decay: Loshchilov and Hutter, https://arxiv.org/abs/1711.05101. Cosine decay: the same,
    https://arxiv.org/abs/1608.03983. Rates of their own: Howard and Ruder, https://arxiv.org/abs/1801.06146.

    Args:
        fine_tuning: Both peak rates and the weight decay.
        backbone: The backbone's variables to train.
        head: The head's.
        steps: Training steps in all; a tenth of them warms up.

    Returns:
        The optimizers with their variables.
    """
    rates = ((fine_tuning.learning_rate, backbone), (fine_tuning.head_learning_rate, head))
    return [(_adamw(peak, fine_tuning.weight_decay, variables, steps), variables) for peak, variables in rates]


def _adamw(
    peak: float, weight_decay: float, variables: Sequence[tf.Variable], steps: int
) -> tf.keras.optimizers.Optimizer:
    warmup = int(_WARMUP_SHARE * steps)
    rate = tf.keras.optimizers.schedules.CosineDecay(
        # Without a step of warm-up, the decay begins where it would end.
        0.0 if warmup else peak,
        max(steps - warmup, 1),
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = tf.keras.optimizers.AdamW(rate, weight_decay=weight_decay)
    # Its variables exist before a checkpoint is read.
    optimizer.build(list(variables))
    return optimizer
