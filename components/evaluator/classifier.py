"""Classifies examples with an exported model, and checks that the served signature agrees."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components import contracts
from components.common.errors import UserError
from components.common.text import counted
from components.contracts.evaluation import ExamplePrediction
from components.modeling.head import rebuild_head
from components.photos.convert import photo_digest
from components.photos.keyed_photos import PhotoKey, photo_key

# Differences are of float32: features are rounded once on disk, and sums have another order.
TOLERANCE = 1e-4
SAMPLE_SIZE = 32
_BATCH_SIZE = 256
_DIGITS = 6
_VALUE = ".ATTRIBUTES/VARIABLE_VALUE"


@functools.lru_cache(maxsize=2)
def load_model(path: str) -> Any:
    """Loads a SavedModel, whose folder never changes; keeps the last two, a candidate and its baseline."""
    return tf.saved_model.load(path)


class FeatureClassifier:
    """Classifies examples with an exported model.

    Features from the model's own backbone go to its classification layers, which are read alone: loading a whole model
    takes seconds. Raw examples (fine-tuned models, a baseline with another backbone) go to its signature.

    `backbone_digest` is that of the backbone whose features it takes, or empty; `class_names` are in label order, and
    empty for models that do not record them.
    """

    def __init__(self, path: str, signature_name: str):
        """Reads the classification layers of a SavedModel; the signature takes raw `examples`, string [N]."""
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
            contracts.FEATURE_VECTOR_KEY: tf.io.RaggedFeature(tf.float32),
            contracts.BACKBONE_DIGEST_KEY: tf.io.FixedLenFeature([], tf.string, ""),
        }
        parsed = tf.io.parse_example(serialized, spec)
        own = parsed[contracts.BACKBONE_DIGEST_KEY].numpy() == self.backbone_digest.encode()
        if not self.backbone_digest or not np.all(own):
            signature = load_model(self._path).signatures[self._signature_name]
            return signature(examples=serialized)["probabilities"].numpy()
        features = parsed[contracts.FEATURE_VECTOR_KEY].to_tensor(shape=[None, *self._head.input_shape[1:]])
        return tf.nn.softmax(self._head(features, training=False)).numpy()


@functools.lru_cache(maxsize=2)
def load_classifier(path: str, signature_name: str) -> FeatureClassifier:
    """Returns a `FeatureClassifier`; keeps the last two."""
    return FeatureClassifier(path, signature_name)


@dataclasses.dataclass(frozen=True)
class ClassifiedBatch:
    """Classified examples."""

    photos: Sequence[PhotoKey]
    labels: np.ndarray  # int64 [N]
    probabilities: Mapping[str, np.ndarray]  # by model, float32 [N, C]

    def predictions(self, model: str) -> Iterator[ExamplePrediction]:
        """Yields one model's predictions, rounded to 6 digits."""
        for (name, digest), label, row in zip(self.photos, self.labels, self.probabilities[model], strict=True):
            probabilities = [round(float(probability), _DIGITS) for probability in row]
            yield ExamplePrediction(id=name, label=int(label), probabilities=probabilities, digest=digest)


def classify(
    models: Mapping[str, Callable[[Sequence[bytes]], np.ndarray]], examples: tf.data.Dataset
) -> Iterator[ClassifiedBatch]:
    """Classifies serialized examples, feature or raw ones, with each model; batches keep the order of the examples."""
    spec = {
        contracts.ID_KEY: tf.io.FixedLenFeature([], tf.string),
        contracts.PHOTO_DIGEST_KEY: tf.io.FixedLenFeature([], tf.string, ""),
        contracts.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string, ""),
        contracts.LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
    }
    for batch in examples.batch(_BATCH_SIZE):
        parsed = tf.io.parse_example(batch, spec)
        ids, digests, photos, labels = (parsed[key].numpy() for key in spec)
        keys = [
            photo_key(example_id, digest.decode() or photo_digest(photo))
            for example_id, digest, photo in zip(ids, digests, photos, strict=True)
        ]
        serialized = batch.numpy()
        yield ClassifiedBatch(keys, labels, {name: model(serialized) for name, model in models.items()})


def serving_difference(
    predicted: Sequence[ExamplePrediction],
    serve: Callable[..., dict[str, tf.Tensor]],
    photos: Mapping[PhotoKey, bytes],
) -> float:
    """Returns the largest difference between evaluated and served probabilities, to six digits; 0.0 without photos.

    Args:
        predicted: The evaluated predictions of these photos.
        serve: The exported model's signature from `image_bytes`, string [N].
        photos: Image files as stored.

    Raises:
        UserError: The difference is above `TOLERANCE`, or a photo was not evaluated.
    """
    if not photos:
        return 0.0
    evaluated = {prediction.photo: prediction.probabilities for prediction in predicted}
    if missing := len(photos.keys() - evaluated.keys()):
        raise UserError(
            f"{missing} of {len(photos)} photos are not among the features: extract them again with --no-cache"
        )
    served = serve(image_bytes=tf.constant(list(photos.values())))["probabilities"].numpy()
    difference = round(float(np.max(np.abs(np.array([evaluated[key] for key in photos]) - served))), _DIGITS)
    if difference > TOLERANCE:
        raise UserError(
            f"the served signature differs from the evaluated one by {difference:.2g} in probability on "
            f"{counted(len(photos), 'photo')} (tolerance {TOLERANCE:g}): extract the features again with --no-cache"
        )
    return difference
