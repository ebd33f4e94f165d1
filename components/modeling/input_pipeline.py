"""tf.data pipelines that feed the training loop.

Files hold deterministic content (see `components.storage.examples_io`) and are read in an order that is sorted, or
shuffled by the seed, so that a seed fixes the order of the examples.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import tensorflow as tf

from components.contracts import BACKBONE_DIGEST_KEY, FEATURE_VECTOR_KEY, LABEL_KEY
from components.storage.shards import read_records, without_autotuning

_VALIDATION_BATCH_SIZE: Final = 256
# Parsing 256 at a time costs a tenth of parsing one by one.
_PARSED_AT_ONCE: Final = 256
# What a label and tf.data's own structures take beside the numbers of a feature vector.
_BYTES_BESIDE_FEATURES: Final = 1024
# Shards that are streamed side by side: their examples are mixed even where there is little room for shuffling.
_OPEN_SHARDS: Final = 16


def read_serialized(file_patterns: Sequence[str]) -> tf.data.Dataset:
    """Reads the records of gzip-compressed TFRecord files, in the order of the sorted file names.

    Args:
        file_patterns: Glob patterns.

    Returns:
        A dataset of serialized tf.Examples, string scalars.
    """
    return read_records(_sorted_files(file_patterns))


def _sorted_files(file_patterns: Sequence[str]) -> list[str]:
    return sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))


def feature_metadata(file_patterns: Sequence[str]) -> tuple[int, str]:
    """Reads from the first feature example what all of them share.

    Args:
        file_patterns: Glob patterns of FeatureExtractor's output, with at least one example.

    Returns:
        The length of the feature vectors and the content digest of the backbone that made them.
    """
    example = tf.train.Example.FromString(next(iter(read_serialized(file_patterns))).numpy())
    features = example.features.feature
    digest = features[BACKBONE_DIGEST_KEY].bytes_list.value[0].decode()
    return len(features[FEATURE_VECTOR_KEY].float_list.value), digest


def epoch_seed(seed: int, epoch: int) -> int:
    """Returns a seed of an epoch's own, for its order and its augmentation.

    Args:
        seed: The run's seed.
        epoch: Counted from 0, below 100,003.
    """
    return seed * 100_003 + epoch


def epoch_batches(dataset: tf.data.Dataset, size: int, batch_size: int, seed: int, epoch: int) -> tf.data.Dataset:
    """Shuffles and batches a dataset for one epoch.

    The order depends on the seed and the epoch alone, so a resumed run sees what an undisturbed one would have.

    Args:
        dataset: Unbatched examples.
        size: How many are shuffled at once: all there are, or as many as there is room for.
        batch_size: Examples per batch; the last batch may be smaller.
        seed: The run's seed.
        epoch: Counted from 0.

    Returns:
        The batches.
    """
    shuffled = dataset.shuffle(max(size, 1), seed=epoch_seed(seed, epoch), reshuffle_each_iteration=False)
    return shuffled.batch(batch_size).prefetch(tf.data.AUTOTUNE)


class FeaturePipeline:
    """Features of both splits: kept in memory as far as a budget goes, otherwise read anew in every epoch.

    What fits is shuffled as a whole. A training split that does not is read in an order of shards, and through a
    shuffle buffer, that depend on the seed and the epoch alone.

    Attributes:
        feature_size: D, the length of a feature vector.
        backbone_digest: Content digest of the backbone that made the features.
    """

    def __init__(self, train_files: Sequence[str], validation_files: Sequence[str], memory: int):
        """Counts the examples, up to the budget.

        Args:
            train_files: Glob patterns of FeatureExtractor's output, with at least one example.
            validation_files: The same of the validation split.
            memory: The budget in bytes.
        """
        self.feature_size, self.backbone_digest = feature_metadata(train_files)
        limit = memory // (4 * self.feature_size + _BYTES_BESIDE_FEATURES)
        self._files = _sorted_files(train_files)
        train_size = _size_within(train_files, limit)
        self._train = None if train_size is None else self._parse_all(train_files).cache()
        # Beside a training split that is streamed, validation may take half: the rest is what shuffling needs.
        validation_limit = limit // 2 if train_size is None else limit - train_size
        validation_size = _size_within(validation_files, validation_limit)
        validation = self._parse_all(validation_files)
        self._validation = validation if validation_size is None else validation.cache()
        self._shuffled = train_size if train_size is not None else max(_PARSED_AT_ONCE, limit - (validation_size or 0))

    def __str__(self) -> str:
        if self._train is not None:
            return f"{self._shuffled} feature vectors"
        how = f"read in every epoch, {self._shuffled} shuffled"
        return f"feature vectors that do not fit the memory set for them: {how}"

    def training_batches(self, batch_size: int, seed: int, epoch: int) -> tf.data.Dataset:
        """Shuffles and batches the training split for one epoch.

        Args:
            batch_size: Examples per batch; the last batch may be smaller.
            seed: The run's seed.
            epoch: Counted from 0.

        Returns:
            Batches of (float32 [N, D], int64 [N]).
        """
        if self._train is not None:
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


def _size_within(file_patterns: Sequence[str], limit: int) -> int | None:
    """Counts examples; None for more of them than the limit."""
    found = read_serialized(file_patterns).take(limit + 1).reduce(tf.constant(0, tf.int64), lambda total, _: total + 1)
    return int(found) if found <= limit else None


def shuffle_chunks(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]], size: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Shuffles what is too large for memory: every example takes the place of a random one of those seen before.

    Unlike tf.data's shuffle buffer, which fragments the heap to twice its size and more, this takes what it holds.

    Args:
        chunks: (Vectors [N, D], labels [N]).
        size: Examples to hold, at least as many as a chunk has.
        seed: The order follows from it.

    Yields:
        Every example once, in chunks of no particular size.
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
