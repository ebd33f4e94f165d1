"""Which devices train, and at which precision: chosen from what the machine has."""

import contextlib
import functools
from collections.abc import Iterator, Sequence

import tensorflow as tf

# Tensor cores, which float16 needs to be faster, exist from this compute capability on
# (https://www.tensorflow.org/guide/mixed_precision#supported_hardware).
_TENSOR_CORES = (7, 0)

ComputeCapability = tuple[int, int]


def training_devices() -> tuple[str, ...]:
    """Returns the names of the logical GPUs or, without a GPU, of the logical CPUs (one, unless configured)."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tuple(device.name for device in devices)


# Once per process: a second MirroredStrategy on the same devices would reuse the numbers of the first one's collective
# operations, and fail.
@functools.cache
def choose_strategy(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """Mirrors the model over several devices of one type; returns TensorFlow's default strategy for a single one."""
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


def gpu_compute_capabilities() -> list[ComputeCapability | None]:
    """Returns each GPU's compute capability; None for one that has none, such as AMD's."""
    gpus = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus]


def supports_mixed_precision(capabilities: Sequence[ComputeCapability | None]) -> bool:
    """Tells whether float16 is faster: there are GPUs, and all of them have tensor cores."""
    return bool(capabilities) and all(found is not None and found >= _TENSOR_CORES for found in capabilities)


@contextlib.contextmanager
def mixed_precision(enabled: bool) -> Iterator[None]:
    """Lets TensorFlow run what is safe in float16 while the context is open, variables and the rest in float32.

    The graph optimizer rewrites the operations: a Keras policy cannot change a SavedModel, whose types are fixed. It
    needs a scaled loss (see `TrainingLoop`).
    """
    if not enabled:
        yield
        return
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision": False})
