"""Photos to feature vectors within one worker process."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import contracts
from components.common.progress import WorkerProgress
from components.feature_extractor.bfloat16 import bfloat16_forward_pass
from components.feature_extractor.inference_graph import load_forward_pass, optimize_forward_pass

# Rewriting the graph takes about two seconds per process. It saved nothing (Inception V3) to 30% (EfficientNet-Lite0,
# before it folded its own batch norms) of the forward passes: fewer photos than this take longer with it.
OPTIMIZE_FROM: Final = 1024

Batch = tuple[str, Sequence[bytes]]  # (split, serialized raw examples)
Decoded = tuple[dict[str, tf.Tensor], tf.Tensor]  # (raw features, images)


@dataclasses.dataclass(frozen=True)
class ExtractionConfig:
    """What a worker needs to extract features.

    Attributes:
        backbone_path: Folder of the backbone's SavedModel.
        backbone_digest: Its content digest, written into every feature example.
        transform_graph_path: Folder of Transform's output.
        total: Photos in all splits.
        launcher: `process_name()` of the process that started the extraction.
        precision: What training photos' features are computed in, FLOAT32 or BFLOAT16.
    """

    backbone_path: str
    backbone_digest: str
    transform_graph_path: str
    total: int
    launcher: str
    precision: str = contracts.FLOAT32


class Extractor:
    """Transform graph and backbone, loaded; one per worker process, used by its threads."""

    def __init__(self, config: ExtractionConfig):
        """Loads both.

        Args:
            config: What to load, and how much there is to do.

        Raises:
            UserError: The precision is not to be had on this machine, or not with this backbone.
        """
        self._config = config
        output = tft.TFTransformOutput(config.transform_graph_path)
        self._raw_spec = output.raw_feature_spec()
        self._transform = output.transform_features_layer()
        # Traced once, and not by AutoGraph, which would translate the source of Keras first: seconds for nothing.
        signature = [tf.TensorSpec([None], tf.string)]
        self._preprocess = tf.function(self._parse_and_transform, signature, autograph=False).get_concrete_function()
        height, width, _ = output.transformed_feature_spec()[contracts.transformed_name(contracts.IMAGE_KEY)].shape
        loaded = load_forward_pass(config.backbone_path, (height, width))
        optimized = config.total >= OPTIMIZE_FROM
        self._forward = optimize_forward_pass(loaded, (height, width)) if optimized else loaded
        reduced = config.precision == contracts.BFLOAT16
        self._training_forward = bfloat16_forward_pass(loaded, (height, width)) if reduced else self._forward
        self._progress = WorkerProgress("Extracting features", config.total, config.launcher)

    def extract(self, batches: Iterable[Batch]) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Runs photos through the backbone; the next batch is decoded meanwhile.

        Args:
            batches: Split and serialized raw tf.Examples, those that pass together.

        Yields:
            Per batch, the raw features ({name: [N]}) and the feature vectors, float32 [N, D].
        """
        for split, (raw, images) in self._decode_ahead(batches):
            features = self.forward(images, split)
            self._progress.add(len(features))
            yield {key: value.numpy()[:, 0] for key, value in raw.items()}, features

    def _decode_ahead(self, batches: Iterable[Batch]) -> Iterator[tuple[str, Decoded]]:
        """Yields batches while a thread decodes the next one; tf.data would take 0.2 s to set up and to tear down."""
        with ThreadPoolExecutor(max_workers=1) as decoder:
            decoded: tuple[str, Future[Decoded]] | None = None
            for split, examples in batches:
                previous, decoded = decoded, (split, decoder.submit(self.decode, examples))
                if previous:
                    yield previous[0], previous[1].result()
            if decoded:
                yield decoded[0], decoded[1].result()

    def decode(self, examples: Sequence[bytes]) -> Decoded:
        """Parses serialized raw tf.Examples and makes images of their photos.

        Args:
            examples: N of them.

        Returns:
            The raw features ({name: [N, 1]}), and float32 [N, H, W, 3] in [0, 1].
        """
        decoded: Decoded = self._preprocess(tf.constant(examples))
        return decoded

    def _parse_and_transform(self, serialized: tf.Tensor) -> Decoded:
        raw = tf.io.parse_example(serialized, self._raw_spec)
        return raw, self._transform(dict(raw))[contracts.transformed_name(contracts.IMAGE_KEY)]

    def forward(self, images: tf.Tensor, split: str) -> np.ndarray:
        """Runs images through the backbone.

        Args:
            images: float32 [N, H, W, 3] in [0, 1].
            split: Training photos pass in the precision that is asked for, others in float32, as they are served.

        Returns:
            Features float32 [N, D].
        """
        forward = self._training_forward if split == contracts.TRAIN_SPLIT else self._forward
        if len(images) > 1:
            return forward(images).numpy()
        # oneDNN has kernels of its own for a single image, which round differently: a photo's features must not depend
        # on whether it happened to be the last one of a batch.
        return forward(tf.repeat(images, 2, axis=0)).numpy()[:1]
