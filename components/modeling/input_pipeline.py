"""tf.data pipelines that feed the training loop.

Files hold deterministic content (see `components.common.examples_io`) and are read in an order that is sorted, or
shuffled by the seed, so that a seed fixes the order of the examples.
"""

from collections.abc import Sequence
from typing import Final

import tensorflow as tf

from components.common.contracts import BACKBONE_DIGEST_KEY, FEATURE_VECTOR_KEY, LABEL_KEY

_VALIDATION_BATCH_SIZE: Final = 256
# Parsing 256 at a time costs a tenth of parsing one by one.
_PARSED_AT_ONCE: Final = 256
# What a label and tf.data's own structures take beside the numbers of a feature vector.
_BYTES_BESIDE_FEATURES: Final = 512
# Shards that streaming reads side by side: their examples are mixed even where the shuffle buffer is small.
_OPEN_SHARDS: Final = 16


def read_serialized(file_patterns: Sequence[str]) -> tf.data.Dataset:
    """Reads the records of gzip-compressed TFRecord files, in the order of the sorted file names.

    Args:
        file_patterns: Glob patterns.

    Returns:
        A dataset of serialized tf.Examples, string scalars.
    """
    return _read_files(_sorted_files(file_patterns))


def _sorted_files(file_patterns: Sequence[str]) -> list[str]:
    return sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))


def _read_files(files: list[str] | tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(files, compression_type="GZIP")


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
        self._train = None if train_size is None else self._parse(read_serialized(train_files)).cache()
        # Beside a training split that is streamed, validation may take half: the rest is what shuffling needs.
        validation_limit = limit // 2 if train_size is None else limit - train_size
        validation_size = _size_within(validation_files, validation_limit)
        validation = self._parse(read_serialized(validation_files))
        self._validation = validation if validation_size is None else validation.cache()
        self._shuffled = train_size if train_size is not None else max(1, limit - (validation_size or 0))

    def __str__(self) -> str:
        """Returns how many feature vectors there are to train on, as far as that is known."""
        if self._train is not None:
            return f"{self._shuffled} feature vectors"
        return (
            f"feature vectors that do not fit the memory set for them: read in every epoch, {self._shuffled} shuffled"
        )

    def training_batches(self, batch_size: int, seed: int, epoch: int) -> tf.data.Dataset:
        """Shuffles and batches the training split for one epoch.

        Args:
            batch_size: Examples per batch; the last batch may be smaller.
            seed: The run's seed.
            epoch: Counted from 0.

        Returns:
            Batches of (float32 [N, D], int64 [N]).
        """
        examples = self._stream(epoch_seed(seed, epoch)) if self._train is None else self._train
        return epoch_batches(examples, self._shuffled, batch_size, seed, epoch)

    def validation_batches(self) -> tf.data.Dataset:
        """Returns the validation split in the order of its files, as batches of (float32 [N, D], int64 [N])."""
        return self._validation.batch(_VALIDATION_BATCH_SIZE)

    def _stream(self, seed: int) -> tf.data.Dataset:
        files = tf.data.Dataset.from_tensor_slices(self._files).shuffle(len(self._files), seed, False)
        return self._parse(files.interleave(_read_files, cycle_length=_OPEN_SHARDS))

    def _parse(self, serialized: tf.data.Dataset) -> tf.data.Dataset:
        """Returns unbatched examples (float32 [D], int64 scalar)."""
        spec = {
            FEATURE_VECTOR_KEY: tf.io.FixedLenFeature([self.feature_size], tf.float32),
            LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
        }

        def parse(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            features = tf.io.parse_example(batch, spec)
            return features[FEATURE_VECTOR_KEY], features[LABEL_KEY]

        return serialized.batch(_PARSED_AT_ONCE).map(parse).unbatch()


def _size_within(file_patterns: Sequence[str], limit: int) -> int | None:
    """Counts examples; None for more of them than the limit."""
    found = read_serialized(file_patterns).take(limit + 1).reduce(tf.constant(0, tf.int64), lambda total, _: total + 1)
    return int(found) if found <= limit else None
