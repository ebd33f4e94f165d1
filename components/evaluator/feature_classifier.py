"""An exported model as Evaluator uses it: on features that its backbone made, or on photos."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.contracts import BACKBONE_DIGEST_KEY, FEATURE_VECTOR_KEY
from components.modeling.head import rebuild_head

_VALUE = ".ATTRIBUTES/VARIABLE_VALUE"


@functools.lru_cache(maxsize=2)
def load_model(path: str) -> Any:
    """Loads a SavedModel, or returns it if it is one of the two loaded last: a candidate and its baseline.

    A model's folder is an artifact, which never changes.

    Args:
        path: The SavedModel's folder.

    Returns:
        The loaded model.
    """
    return tf.saved_model.load(path)


class FeatureClassifier:
    """Classifies examples with an exported model.

    Features that the model's own backbone made go to its classification layers, which are read alone: loading a whole
    model takes seconds. Raw examples (for a baseline with another backbone, a fine-tuned model) go to its signature.

    Attributes:
        backbone_digest: Content digest of the backbone whose features it takes; empty when it takes none.
        class_names: In label order; empty for a model of another maker, which does not tell.
    """

    def __init__(self, path: str, signature_name: str):
        """Reads the classification layers.

        Args:
            path: The SavedModel's folder, local or remote.
            signature_name: Its signature that takes raw `examples`, string [N].
        """
        self._path = path
        self._signature_name = signature_name
        checkpoint = tf.train.load_checkpoint(f"{path}/{tf.saved_model.VARIABLES_DIRECTORY}/variables")
        names = itertools.takewhile(
            checkpoint.has_tensor, (f"head_weights/{index}/{_VALUE}" for index in itertools.count())
        )
        self._head = rebuild_head([checkpoint.get_tensor(name) for name in names])
        digest, class_names = (
            checkpoint.get_tensor(name) if checkpoint.has_tensor(name) else None
            for name in (f"backbone_digest/{_VALUE}", f"class_names/{_VALUE}")
        )
        self.backbone_digest = (digest or b"").decode()
        self.class_names = [] if class_names is None else [name.decode() for name in class_names]

    def __call__(self, examples: Sequence[bytes]) -> np.ndarray:
        """Returns the probabilities, float32 [N, C], of N serialized examples, feature or raw ones."""
        serialized = tf.constant(examples, tf.string)
        spec = {
            FEATURE_VECTOR_KEY: tf.io.RaggedFeature(tf.float32),
            BACKBONE_DIGEST_KEY: tf.io.FixedLenFeature([], tf.string, ""),
        }
        parsed = tf.io.parse_example(serialized, spec)
        own = parsed[BACKBONE_DIGEST_KEY].numpy() == self.backbone_digest.encode()
        if not self.backbone_digest or not np.all(own):
            signature = load_model(self._path).signatures[self._signature_name]
            return signature(examples=serialized)["probabilities"].numpy()
        features = parsed[FEATURE_VECTOR_KEY].to_tensor(shape=[None, *self._head.input_shape[1:]])
        return tf.nn.softmax(self._head(features, training=False)).numpy()


@functools.lru_cache(maxsize=2)
def load_classifier(path: str, signature_name: str) -> FeatureClassifier:
    """Returns a `FeatureClassifier`, the same one as long as it is one of the two asked for last."""
    return FeatureClassifier(path, signature_name)
