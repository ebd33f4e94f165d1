"""What trains the whole classifier: AdamW with warm-up and cosine decay, the backbone at a lower rate than the head."""

from collections.abc import Sequence
from typing import Final

import tensorflow as tf

from components.modeling.hyperparameters import FineTuning
from components.modeling.training_loop import OptimizedVariables

_WARMUP_SHARE: Final = 0.1


def fine_tuning_optimizers(
    fine_tuning: FineTuning,
    backbone: Sequence[tf.Variable],
    head: Sequence[tf.Variable],
    epochs: int,
    steps_per_epoch: int,
) -> list[OptimizedVariables]:
    """Makes an optimizer each for the backbone and the head; to be called under the scope of a strategy.

    Decoupled weight decay: Loshchilov and Hutter, https://arxiv.org/abs/1711.05101. Cosine decay: the same,
    https://arxiv.org/abs/1608.03983. Rates of their own: Howard and Ruder, https://arxiv.org/abs/1801.06146.

    Args:
        fine_tuning: Both peak rates, the weight decay and the momentum of the moving average.
        backbone: The backbone's variables to train.
        head: The head's.
        epochs: Epochs to train; their first tenth warms up.
        steps_per_epoch: After as many steps the moving average takes the place of the weights.

    Returns:
        The optimizers with their variables.
    """
    rates = ((fine_tuning.learning_rate, backbone), (fine_tuning.head_learning_rate, head))
    optimizers = []
    for peak, variables in rates:
        optimizer = tf.keras.optimizers.AdamW(
            _warm_up_and_decay(peak, epochs * steps_per_epoch),
            weight_decay=fine_tuning.weight_decay,
            use_ema=bool(fine_tuning.ema_momentum),
            ema_momentum=fine_tuning.ema_momentum,
            ema_overwrite_frequency=steps_per_epoch,
        )
        # Its variables exist before a checkpoint is read.
        optimizer.build(list(variables))
        optimizers.append((optimizer, variables))
    return optimizers


def _warm_up_and_decay(peak: float, steps: int) -> tf.keras.optimizers.schedules.LearningRateSchedule:
    warmup = int(_WARMUP_SHARE * steps)
    return tf.keras.optimizers.schedules.CosineDecay(
        # Without a step of warm-up, the decay begins where it would end.
        0.0 if warmup else peak,
        max(steps - warmup, 1),
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )
