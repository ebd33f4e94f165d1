"""As many examples as a measurement wants, from those of a finished run."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import tensorflow as tf
from tfx.types.standard_artifacts import Examples

from components import contracts
from components.storage.examples_io import shards_for, split_uris
from components.storage.shards import read_shard, write_shard

# As TfdsExampleGen writes and divides them.
_PHOTOS_PER_SHARD: Final = 32
_SHARES: Final = {"train": 0.5, "validation": 0.25, "test": 0.25}


def repeat_photos(source: Examples, photos: int, folder: Path) -> Examples:
    """Writes examples whose photos are those of `source`, over and over, each with an id of its own.

    Args:
        source: Examples of a finished run.
        photos: How many, at least 4.
        folder: Where they go.

    Returns:
        The examples, in three splits.
    """
    target = Examples()
    target.uri = str(folder)
    target.split_names = json.dumps(list(_SHARES))
    counts = {split: int(photos * share) for split, share in _SHARES.items()}
    target.set_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY, json.dumps(counts))
    for split, uri in split_uris(source).items():
        examples = _repeated(uri)
        shards = shards_for(counts[split], _PHOTOS_PER_SHARD)
        for shard in range(shards):
            size = counts[split] * (shard + 1) // shards - counts[split] * shard // shards
            name = f"data_tfrecord-{shard:05d}-of-{shards:05d}.gz"
            write_shard(f"{folder}/Split-{split}/{name}", itertools.islice(examples, size))
    return target


def _repeated(split_uri: str) -> Iterator[bytes]:
    for cycle in itertools.count():
        for file in sorted(Path(split_uri).glob("*.gz")):
            for serialized in read_shard(str(file)):
                example = tf.train.Example.FromString(serialized)
                (example_id,) = example.features.feature[contracts.ID_KEY].bytes_list.value
                example.features.feature[contracts.ID_KEY].bytes_list.value[0] = b"%05d/%b" % (cycle, example_id)
                yield example.SerializeToString(deterministic=True)
