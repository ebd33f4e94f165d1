"""Photos by a key that raw examples and feature examples share."""

from collections.abc import Sequence

import tensorflow as tf

from components.contracts import ID_KEY, IMAGE_KEY
from components.photos.convert import photo_digest
from components.storage.shards import read_records

PhotoKey = tuple[str, str]  # (id, digest): a photo may change under its name


def photo_key(example_id: bytes, digest: str) -> PhotoKey:
    """Returns the key of an example; `digest` is `photo_digest` of its file."""
    return example_id.decode(errors="backslashreplace"), digest


def first_photos(file_patterns: Sequence[str], count: int) -> dict[PhotoKey, bytes]:
    """Reads at most `count` photos from patterns of a split's files: a random sample, as their order is by hash."""
    files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
    photos = {}
    # One dataset of all files: making one per shard takes many times as long as reading it.
    for serialized in read_records(tf.constant(files, tf.string)).take(count).as_numpy_iterator():
        features = tf.train.Example.FromString(serialized).features.feature
        photo = features[IMAGE_KEY].bytes_list.value[0]
        photos[photo_key(features[ID_KEY].bytes_list.value[0], photo_digest(photo))] = photo
    return photos
