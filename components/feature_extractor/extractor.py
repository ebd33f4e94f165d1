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
    """Loads a backbone for inference.

    Args:
        path: A SavedModel folder that `hub.KerasLayer` accepts.
        image_size: Height and width of the images in pixels.

    Returns:
        A tf.function from float32 [N, H, W, 3] in [0, 1] to float32 [N, D].
    """
    # Loaded first: given a path, KerasLayer imports Keras 3 before it notices that it needs Keras 2.
    backbone = hub.KerasLayer(hub.load(path), trainable=False)
    # One trace for batches of any size; AutoGraph would spend seconds on translating Keras' source.
    signature = [tf.TensorSpec([None, *image_size, 3], tf.float32)]
    return tf.function(lambda images: backbone(images, training=False), signature, autograph=False)


@dataclasses.dataclass(frozen=True)
class ExtractionConfig:
    """What a worker needs to extract features.

    Attributes:
        backbone_path: Folder of the backbone's SavedModel.
        backbone_digest: Its content digest, written into every feature example.
        transform_graph_path: Folder of Transform's output.
        total: Photos in all splits.
        launcher: `process_name()` of the process that started the extraction.
    """

    backbone_path: str
    backbone_digest: str
    transform_graph_path: str
    total: int
    launcher: str


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
        """Runs photos through the backbone while a thread decodes the next batch.

        Args:
            batches: Those that pass through the backbone together.

        Yields:
            Per batch, the raw features ({name: [N]}) and the feature vectors, float32 [N, D].
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
                previous, decoded = decoded, decoder.submit(self._decode, examples)
                if previous:
                    yield previous.result()
            if decoded:
                yield decoded.result()

    def _decode(self, examples: Sequence[bytes]) -> Decoded:
        decoded: Decoded = self._preprocess(tf.constant(examples))
        return decoded

    def _parse_and_transform(self, serialized: tf.Tensor) -> Decoded:
        raw = tf.io.parse_example(serialized, self._raw_spec)
        return raw, self._transform(dict(raw))[contracts.transformed_name(contracts.IMAGE_KEY)]

    def _features(self, images: tf.Tensor) -> np.ndarray:
        if len(images) > 1:
            return self._forward(images).numpy()
        # oneDNN has other kernels for a single image, which round differently: a photo's features must not depend on
        # whether it is the only one in its batch.
        return self._forward(tf.repeat(images, 2, axis=0)).numpy()[:1]
