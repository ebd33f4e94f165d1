"""Shards, the gzip TFRecords of Examples artifacts: written atomically, read, and linked into other artifacts."""

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import tensorflow as tf
from tfx.dsl.io import fileio

# Levels of compression. JPEGs do not get smaller, and compressing them takes most of the time of writing; files
# stay gzip, which TFX's readers expect. Features are half zeros where a backbone ends in a ReLU.
STORED: Final = 0
FAST: Final = 1


def read_records(files: str | list[str] | tf.Tensor) -> tf.data.Dataset:
    """Reads gzip TFRecords, one file after the other, as scalar strings without autotuning."""
    return without_autotuning(tf.data.TFRecordDataset(files, compression_type="GZIP"))


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Turns off tf.data's autotuning, also for datasets derived from this one.

    A finished iterator waits for the tuning thread, which may sleep for a minute: it checks whether it is cancelled
    before that is noted (tensorflow/core/framework/model.cc, `OptimizeLoop`).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def read_shard(path: str) -> Iterator[bytes]:
    """Reads the serialized examples of a gzip TFRecord, in their order."""
    yield from read_records(path).as_numpy_iterator()


def write_shard(path: str, examples: Iterable[bytes], compression_level: int = STORED) -> None:
    """Writes serialized examples as a gzip TFRecord, which appears when it is complete; makes its folder."""
    # TensorFlow's gzip header carries no time stamp, unlike Python's.
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=compression_level)
    with _temporary_of(path) as temporary:
        with tf.io.TFRecordWriter(temporary, options) as writer:
            for serialized in examples:
                writer.write(serialized)
        fileio.rename(temporary, path, overwrite=True)


def pass_on(source: str, target: str) -> None:
    """Links a file of one artifact into another one; makes its folder.

    Files of artifacts never change. In buckets, between file systems and where there are no hard links, it is copied.
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
    """Yields a unique name for the unfinished file: a runner may retry while the first attempt still writes."""
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    fileio.makedirs(path.rpartition("/")[0])
    try:
        yield temporary
    finally:
        if fileio.exists(temporary):
            fileio.remove(temporary)
