"""Faster imports for commands that run TensorFlow or TFX."""

import contextlib
import gc
import importlib.util
import sys
from collections.abc import Iterator
from typing import Final

from components.common.stack import complete_tfma

_PACKAGE: Final = "tfx.components"


def skip_tfx_components_init() -> None:
    """Lets modules below `tfx.components` be imported without the package's `__init__`.

    It imports every component there is, with Keras Tuner and a Kubernetes client: a third of a run's imports. Names
    like `tfx.components.Trainer` are missing afterwards, so this is for a command line, which owns its process.
    """
    if _PACKAGE not in sys.modules and (spec := importlib.util.find_spec(_PACKAGE)):
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
        complete_tfma()


@contextlib.contextmanager
def uncollected_imports() -> Iterator[None]:
    """Keeps the garbage collector away from what is imported inside, then and later.

    Modules stay as long as the process, and those of TensorFlow and TFX hold half a million objects: to look through
    them again and again takes a quarter of the time of a run that is answered from the cache.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
