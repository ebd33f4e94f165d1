"""tf.data pipelines that feed the training loop.

Files hold deterministic content (see `components.common.examples_io`) and are read in sorted order, so that a seed
fixes the order of the examples.
"""

from collections.abc import Sequence

import tensorflow as tf

from components.common.contracts import BACKBONE_DIGEST_KEY, FEATURE_VECTOR_KEY, LABEL_KEY


def read_serialized(file_patterns: Sequence[str]) -> tf.data.Dataset:
    """Reads the records of gzip-compressed TFRecord files, in the order of the sorted file names.

    Args:
        file_patterns: Glob patterns.

    Returns:
        A dataset of serialized tf.Examples, string scalars.
    """
    files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
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


def feature_dataset(file_patterns: Sequence[str], feature_size: int) -> tf.data.Dataset:
    """Reads feature vectors and labels, kept in memory after the first pass.

    Args:
        file_patterns: Glob patterns of FeatureExtractor's output.
        feature_size: D, the length of a feature vector.

    Returns:
        An unbatched dataset of (float32 [D], int64 scalar).
    """
    spec = {
        FEATURE_VECTOR_KEY: tf.io.FixedLenFeature([feature_size], tf.float32),
        LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
    }

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.io.parse_example(serialized, spec)
        return features[FEATURE_VECTOR_KEY], features[LABEL_KEY]

    # Parsing 256 at a time costs a tenth of parsing one by one.
    return read_serialized(file_patterns).batch(256).map(parse).unbatch().cache()


def count(dataset: tf.data.Dataset) -> int:
    """Counts a finite dataset's elements by reading it once."""
    return int(dataset.reduce(tf.constant(0, tf.int64), lambda total, _: total + 1))


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
        size: How many there are; the shuffle is over all of them.
        batch_size: Examples per batch; the last batch may be smaller.
        seed: The run's seed.
        epoch: Counted from 0.

    Returns:
        The batches.
    """
    shuffled = dataset.shuffle(max(size, 1), seed=epoch_seed(seed, epoch), reshuffle_each_iteration=False)
    return shuffled.batch(batch_size).prefetch(tf.data.AUTOTUNE)
