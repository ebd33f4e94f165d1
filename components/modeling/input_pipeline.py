"""tf.data pipelines that feed the training loop; the seed fixes the order of the examples.

Files hold deterministic content (see `components.storage.examples_io`) and are sorted by name before any shuffling.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import tensorflow as tf

from components.contracts import BACKBONE_DIGEST_KEY, FEATURE_VECTOR_KEY, LABEL_KEY
from components.storage.shards import read_records, without_autotuning

_VALIDATION_BATCH_SIZE: Final = 256
_PARSED_AT_ONCE: Final = 256  # costs a tenth of parsing one by one
_BYTES_BESIDE_FEATURES: Final = 1024  # of an example: its label and tf.data's own structures
_OPEN_SHARDS: Final = 16  # streamed side by side, which mixes examples even with little room for shuffling


def read_serialized(file_patterns: Sequence[str]) -> tf.data.Dataset:
    """Reads serialized tf.Examples, string scalars, from gzip-compressed TFRecord files, sorted by name."""
    return read_records(_sorted_files(file_patterns))


def _sorted_files(file_patterns: Sequence[str]) -> list[str]:
    return sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))


def feature_metadata(file_patterns: Sequence[str]) -> tuple[int, str]:
    """Returns the length of the feature vectors and the content digest of their backbone, from the first example."""
    example = tf.train.Example.FromString(next(iter(read_serialized(file_patterns))).numpy())
    features = example.features.feature
    digest = features[BACKBONE_DIGEST_KEY].bytes_list.value[0].decode()
    return len(features[FEATURE_VECTOR_KEY].float_list.value), digest


def epoch_seed(seed: int, epoch: int) -> int:
    """Returns the seed of an epoch, counted from 0 and below 100,003, for its order and its augmentation."""
    return seed * 100_003 + epoch


def epoch_batches(dataset: tf.data.Dataset, size: int, batch_size: int, seed: int, epoch: int) -> tf.data.Dataset:
    """Shuffles unbatched examples, `size` at once, and batches them; the last batch may be smaller.

    The order depends on the seed and the epoch alone, so a resumed run sees the same batches.
    """
    shuffled = dataset.shuffle(max(size, 1), seed=epoch_seed(seed, epoch), reshuffle_each_iteration=False)
    return shuffled.batch(batch_size).prefetch(tf.data.AUTOTUNE)


class FeaturePipeline:
    """Features of both splits: kept in memory if they fit the budget, otherwise read in every epoch.

    A split in memory is shuffled as a whole. A training split that does not fit is read in an order of shards, and
    through a shuffle buffer, that depend on the seed and the epoch alone. `feature_size` is the length of a feature
    vector, `backbone_digest` the content digest of the backbone that made them.
    """

    def __init__(self, train_files: Sequence[str], validation_files: Sequence[str], memory: int):
        """Counts the examples, up to the budget `memory` in bytes.

        The files are glob patterns of FeatureExtractor's output; the training split has at least one example.
        """
        self.feature_size, self.backbone_digest = feature_metadata(train_files)
        limit = memory // (4 * self.feature_size + _BYTES_BESIDE_FEATURES)
        self._files = _sorted_files(train_files)
        self._train, train_size = self._read(train_files, limit)
        # Beside a training split that is streamed, validation may take half: the rest is what shuffling needs.
        validation_limit = limit - train_size if self._train else limit // 2
        validation, validation_size = self._read(validation_files, validation_limit)
        self._validation = validation or self._parse_all(validation_files)
        self._shuffled = train_size if self._train else max(_PARSED_AT_ONCE, limit - validation_size)

    def __str__(self) -> str:
        if self._train:
            return f"{self._shuffled} feature vectors"
        how = f"read in every epoch, {self._shuffled} shuffled"
        return f"feature vectors that do not fit the memory set for them: {how}"

    def training_batches(self, batch_size: int, seed: int, epoch: int) -> tf.data.Dataset:
        """Shuffles the training split for an epoch, counted from 0; returns batches of (float32 [N, D], int64 [N])."""
        if self._train:
            return epoch_batches(self._train, self._shuffled, batch_size, seed, epoch)
        spec = (tf.TensorSpec([None, self.feature_size], tf.float32), tf.TensorSpec([None], tf.int64))
        chunks = tf.data.Dataset.from_generator(lambda: self._stream(epoch_seed(seed, epoch)), output_signature=spec)
        return without_autotuning(chunks).unbatch().batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def validation_batches(self) -> tf.data.Dataset:
        """Returns the validation split in the order of its files, as batches of (float32 [N, D], int64 [N])."""
        return self._validation.batch(_VALIDATION_BATCH_SIZE)

    def _stream(self, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        files = without_autotuning(tf.data.Dataset.from_tensor_slices(self._files)).shuffle(len(self._files), seed)
        serialized = files.interleave(read_records, cycle_length=_OPEN_SHARDS).batch(_PARSED_AT_ONCE)
        return shuffle_chunks(serialized.map(self._parse).as_numpy_iterator(), self._shuffled, seed)

    def _read(self, file_patterns: Sequence[str], limit: int) -> tuple[tf.data.Dataset | None, int]:
        """Returns a split that its first pass keeps in memory, and its size; None and 0 if it exceeds the limit."""
        # Counted first: a cache that overflows fragments the heap with as much memory as the budget allows.
        records = read_serialized(file_patterns).take(limit + 1)
        size = int(records.reduce(tf.constant(0, tf.int64), lambda total, _: total + 1))
        return (self._parse_all(file_patterns).cache(), size) if size <= limit else (None, 0)

    def _parse_all(self, file_patterns: Sequence[str]) -> tf.data.Dataset:
        """Returns a split's examples in the order of its files, unbatched: (float32 [D], int64 scalar)."""
        return read_serialized(file_patterns).batch(_PARSED_AT_ONCE).map(self._parse).unbatch()

    def _parse(self, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        spec = {
            FEATURE_VECTOR_KEY: tf.io.FixedLenFeature([self.feature_size], tf.float32),
            LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
        }
        features = tf.io.parse_example(serialized, spec)
        return features[FEATURE_VECTOR_KEY], features[LABEL_KEY]


def shuffle_chunks(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]], size: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Shuffles more examples than fit into memory: each replaces a random earlier one, which is passed on.

    tf.data's shuffle buffer fragments the heap to more than twice its size; this takes no more than what it holds.
    `chunks` are (vectors [N, D], labels [N]); `size` is how many examples to hold, at least as many as a chunk has.
    Yields every example once, in chunks of varying size.
    """
    random = np.random.default_rng(seed % 2**64)
    held: tuple[np.ndarray, ...] = ()
    filled = 0
    for chunk in chunks:
        held = held or tuple(np.empty((size, *values.shape[1:]), values.dtype) for values in chunk)
        room = min(size - filled, len(chunk[1]))
        for place, values in zip(held, chunk, strict=True):
            place[filled : filled + room] = values[:room]
        filled += room
        slots = random.choice(size, len(chunk[1]) - room, replace=False)
        if len(slots):
            yield held[0][slots], held[1][slots]
        for place, values in zip(held, chunk, strict=True):
            place[slots] = values[room:]
    for slots in np.array_split(random.permutation(filled), 1 + filled // _PARSED_AT_ONCE):
        yield held[0][slots], held[1][slots]
