"""Photos by key: feature examples name theirs, and raw examples hold it."""

import itertools
from collections.abc import Sequence

import tensorflow as tf

from components.contracts import ID_KEY, IMAGE_KEY
from components.photos.convert import photo_digest
from components.storage.shards import read_shard

PhotoKey = tuple[str, str]  # (id, digest): a photo may change under its name


def photo_key(example_id: bytes, digest: str) -> PhotoKey:
    """Returns what raw and feature examples of the same photo share."""
    return example_id.decode(errors="backslashreplace"), digest


def first_photos(file_patterns: Sequence[str], count: int) -> dict[PhotoKey, bytes]:
    """Reads the first photos of a split; they are a sample, as files hold examples in the order of a hash.

    Args:
        file_patterns: Glob patterns of raw examples.
        count: How many, at most.

    Returns:
        The image files as stored.
    """
    files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
    photos = {}
    for serialized in itertools.islice(itertools.chain.from_iterable(map(read_shard, files)), count):
        features = tf.train.Example.FromString(serialized).features.feature
        photo = features[IMAGE_KEY].bytes_list.value[0]
        photos[photo_key(features[ID_KEY].bytes_list.value[0], photo_digest(photo))] = photo
    return photos
