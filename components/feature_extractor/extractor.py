"""Photos to feature vectors within one worker process."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_transform as tft

from components import contracts
from components.common.progress import WorkerProgress

Batch = tuple[str, Sequence[bytes]]  # (split, serialized raw examples)
Decoded = tuple[dict[str, tf.Tensor], tf.Tensor]  # (raw features, images)


def load_forward_pass(path: str, image_size: tuple[int, int]) -> Any:
    """Loads a SavedModel for inference: a tf.function from float32 [N, H, W, 3] in [0, 1] to float32 [N, D]."""
    # Given a path, KerasLayer imports Keras 3 before it notices that it needs Keras 2.
    backbone = hub.KerasLayer(hub.load(path), trainable=False)
    # One trace for batches of any size; AutoGraph would take seconds to translate Keras' source.
    signature = [tf.TensorSpec([None, *image_size, 3], tf.float32)]
    return tf.function(lambda images: backbone(images, training=False), signature, autograph=False)


@dataclasses.dataclass(frozen=True)
class ExtractionConfig:
    """What a worker needs to extract features."""

    backbone_path: str  # a SavedModel folder
    backbone_digest: str  # written into every feature example
    transform_graph_path: str
    total: int  # photos in all splits
    launcher: str  # `process_name()` of the process that started the extraction


class Extractor:
    """Transform graph and backbone, loaded; one per worker process, used by its threads."""

    def __init__(self, config: ExtractionConfig):
        """Loads both."""
        output = tft.TFTransformOutput(config.transform_graph_path)
        self._raw_spec = output.raw_feature_spec()
        self._transform = output.transform_features_layer()
        signature = [tf.TensorSpec([None], tf.string)]
        self._preprocess = tf.function(self._parse_and_transform, signature, autograph=False).get_concrete_function()
        height, width, _ = output.transformed_feature_spec()[contracts.transformed_name(contracts.IMAGE_KEY)].shape
        self._forward = load_forward_pass(config.backbone_path, (height, width))
        self._progress = WorkerProgress("Extracting features", config.total, config.launcher)

    def extract(self, batches: Iterable[Batch]) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Runs batches through the backbone while a thread decodes the next one.

        Yields the raw features of each batch, {name: [N]}, and its feature vectors, float32 [N, D].
        """
        for raw, images in self._decode_ahead(batches):
            features = self._features(images)
            self._progress.add(len(features))
            yield {key: value.numpy()[:, 0] for key, value in raw.items()}, features

    def _decode_ahead(self, batches: Iterable[Batch]) -> Iterator[Decoded]:
        # tf.data would take 0.2 s to set up and to tear down.
        with ThreadPoolExecutor(max_workers=1) as decoder:
            decoded: Future[Decoded] | None = None
            for _, examples in batches:
                previous, decoded = decoded, decoder.submit(self._preprocess, tf.constant(examples))
                if previous:
                    yield previous.result()
            if decoded:
                yield decoded.result()

    def _parse_and_transform(self, serialized: tf.Tensor) -> Decoded:
        raw = tf.io.parse_example(serialized, self._raw_spec)
        return raw, self._transform(dict(raw))[contracts.transformed_name(contracts.IMAGE_KEY)]

    def _features(self, images: tf.Tensor) -> np.ndarray:
        if len(images) > 1:
            return self._forward(images).numpy()
        # oneDNN rounds a single image differently, but features must not depend on the size of the batch.
        return self._forward(tf.repeat(images, 2, axis=0)).numpy()[:1]
