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

    It imports every component, Keras Tuner and a Kubernetes client: a third of a run's imports. Names like
    `tfx.components.Trainer` are missing afterwards, so this is only for a command line, which owns its process.
    """
    if _PACKAGE not in sys.modules and (spec := importlib.util.find_spec(_PACKAGE)):
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
        complete_tfma()


@contextlib.contextmanager
def uncollected_imports() -> Iterator[None]:
    """Exempts everything imported inside from garbage collection.

    The modules of TensorFlow and TFX hold half a million objects until the process ends: scanning them repeatedly takes
    a quarter of the time of a fully cached run.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
