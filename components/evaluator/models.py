"""Loads the models of an evaluation, each of them once.

Called by Evaluator's executor and by `components.evaluator.extraction`.
"""

import functools
from typing import Any

import tensorflow as tf


@functools.lru_cache(maxsize=2)
def load_model(path: str) -> Any:
    """Loads a SavedModel, or returns it if it is one of the two loaded last: a candidate and its baseline.

    A model's folder is an artifact, which never changes. Evaluators of a run that share a process load it once.

    Args:
        path: The SavedModel's folder.

    Returns:
        The loaded model.
    """
    return tf.saved_model.load(path)
