"""Files of examples: written whole or not at all, read, and passed on from one artifact to another."""

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import tensorflow as tf
from tfx.dsl.io import fileio

# Levels of compression. JPEGs do not get smaller, and trying takes longer than everything else that writing needs; the
# files stay gzip, which every reader of TFX expects. Features are half zeros where a backbone ends in a ReLU.
STORED: Final = 0
FAST: Final = 1


def read_records(files: str | list[str] | tf.Tensor) -> tf.data.Dataset:
    """Reads gzip TFRecords, one file after the other.

    Args:
        files: Their paths.

    Returns:
        A dataset of serialized examples, string scalars, without autotuning.
    """
    return without_autotuning(tf.data.TFRecordDataset(files, compression_type="GZIP"))


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Leaves parallelism and buffers at tf.data's own start values, in what is made of the dataset as well.

    An iterator that is done waits for the thread that tunes it, which may sleep for a minute: it checks whether it is
    cancelled before that is noted (tensorflow/core/framework/model.cc, `OptimizeLoop`).

    Args:
        dataset: What to read.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def read_shard(path: str) -> Iterator[bytes]:
    """Reads the serialized examples of a gzip TFRecord, in their order.

    Args:
        path: The file.
    """
    yield from read_records(path).as_numpy_iterator()


def write_shard(path: str, examples: Iterable[bytes], compression_level: int = STORED) -> None:
    """Writes a gzip TFRecord through a temporary file: a reader sees the whole shard or none of it.

    Args:
        path: The file; its folder is made when missing.
        examples: Serialized examples.
        compression_level: Of gzip.
    """
    # TensorFlow's gzip header carries no time stamp, unlike Python's.
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=compression_level)
    with _temporary_of(path) as temporary:
        with tf.io.TFRecordWriter(temporary, options) as writer:
            for serialized in examples:
                writer.write(serialized)
        fileio.rename(temporary, path, overwrite=True)


def pass_on(source: str, target: str) -> None:
    """Makes a file of one artifact a file of another one as well.

    Files of artifacts never change, so on one file system both names stand for the same bytes (a hard link). In
    buckets, between file systems and where there are no links, the file is copied.

    Args:
        source: The file.
        target: Its other name; the folder is made when missing.
    """
    with _temporary_of(target) as temporary:
        try:
            os.link(source, temporary)
            Path(temporary).replace(target)
        except OSError:
            fileio.copy(source, temporary, overwrite=True)
            fileio.rename(temporary, target, overwrite=True)


@contextlib.contextmanager
def _temporary_of(path: str) -> Iterator[str]:
    """Gives a name for what is not finished, unique as a runner may try again while the first attempt still writes."""
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    fileio.makedirs(path.rpartition("/")[0])
    try:
        yield temporary
    finally:
        if fileio.exists(temporary):
            fileio.remove(temporary)
