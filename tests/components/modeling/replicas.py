"""What test_fine_tuning.py trains twice: in its own process, and here on two logical CPU devices.

Devices have to be configured before TensorFlow starts, and would change every other test.
Arguments: a folder with `fn_args.json`, where the results go as well.
"""

import json
import sys
from pathlib import Path

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import numpy as np
import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from components.modeling import devices
from components.modeling.head import build_head
from components.modeling.hyperparameters import Hyperparameters
from components.modeling.training_loop import TrainingLoop
from components.trainer import fine_tuning

# 31 examples in batches of 10: one replica's share of the last batch is empty.
_EXAMPLES, _FEATURES, _CLASSES = 31, 6, 3


def train_head(folder: Path) -> None:
    """Trains a head in `folder/head`, on all the devices there are."""
    strategy = devices.choose_strategy(devices.training_devices())
    hyperparameters = Hyperparameters(hidden_units=4, batch_size=10, epochs=2, learning_rate=0.01)
    rng = np.random.default_rng(1)
    features = rng.normal(size=(_EXAMPLES, _FEATURES)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((features, np.arange(_EXAMPLES) % _CLASSES)).batch(10)
    with strategy.scope():
        head = build_head(_FEATURES, _CLASSES, hyperparameters.hidden_units, seed=2)
    TrainingLoop(head, hyperparameters, str(folder / "head"), strategy).fit(lambda _: batches, batches)


if __name__ == "__main__":
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    train_head(Path(sys.argv[1]))
    fine_tuning.run_fn(FnArgs(**json.loads((Path(sys.argv[1]) / "fn_args.json").read_text())))
