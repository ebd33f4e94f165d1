"""Reading and writing of Examples artifacts: the same bytes on any runner and in any order of arrival.

TFX's own `WriteSplit` reshuffles at random.
"""

import hashlib
import itertools
import json
import math
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import apache_beam as beam
import tensorflow as tf
from tfx import types
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components import contracts
from components.storage.shards import STORED, read_shard, write_shard

Aside = tuple[str, int, int]  # (file, offset, length)


class SetAsideFn(beam.DoFn):
    """Turns (key, bytes) into (key, `Aside`)."""

    def __init__(self, folder: str) -> None:
        """Takes a local folder that all workers see; every worker writes files of its own there."""
        self._folder = folder

    def setup(self) -> None:
        Path(self._folder).mkdir(parents=True, exist_ok=True)
        self._file = Path(self._folder, uuid.uuid4().hex).open("wb")  # noqa: SIM115 (closed by teardown)

    def process(self, element: tuple[bytes, bytes]) -> Iterator[tuple[bytes, Aside]]:
        key, content = element
        yield key, (self._file.name, self._file.tell(), len(content))
        self._file.write(content)

    def finish_bundle(self) -> None:
        # Other workers may read from now on.
        self._file.flush()

    def teardown(self) -> None:
        self._file.close()


def read_set_aside(place: Aside) -> bytes:
    """Reads bytes back."""
    path, offset, length = place
    with Path(path).open("rb") as file:
        file.seek(offset)
        return file.read(length)


def remove_set_aside(folder: str, _read: Iterable[object]) -> None:
    """Removes the folder of `SetAsideFn`; the side input `_read` makes this step wait for its readers."""
    shutil.rmtree(folder, ignore_errors=True)


Placed = tuple[bytes, bytes | Aside]  # (id, serialized tf.Example or where it is)


def with_shard(example: Placed, num_shards: int) -> tuple[int, Placed]:
    """Returns an example with the number of its shard."""
    return int.from_bytes(_digest(example[0])[:8], "big") % num_shards, example


def in_order(examples: Iterable[Placed]) -> Iterator[bytes]:
    """Yields the serialized examples of a shard in their order; content breaks ties."""
    for _, same in itertools.groupby(sorted(examples, key=_place_in_shard), key=_place_in_shard):
        yield from sorted(content if isinstance(content, bytes) else read_set_aside(content) for _, content in same)


def _place_in_shard(example: Placed) -> tuple[bytes, bytes]:
    # The last 8 bytes: the first ones chose the shard.
    return _digest(example[0])[-8:], example[0]


def _digest(example_id: bytes) -> bytes:
    return hashlib.sha256(example_id).digest()


EXAMPLES_PER_SHARD: Final = 512
MAX_SMALL_SHARDS: Final = 128
_ASIDE_FOLDER: Final = "set-aside"
_FILE_PREFIX: Final = "data_tfrecord"
_DATASET_PROPERTIES: Final = (
    contracts.DATASET_NAME_PROPERTY,
    contracts.DATASET_VERSION_PROPERTY,
    contracts.DATASET_LICENSE_PROPERTY,
    contracts.CLASS_NAMES_PROPERTY,
    contracts.SPLIT_COUNTS_PROPERTY,
    contracts.CLASS_COUNTS_PROPERTY,
)

KeyedExample = tuple[bytes, bytes]  # (id, serialized tf.Example)
ExamplesFile = tuple[str, str]  # (split, name)
Finish = Callable[[Iterable[bytes]], Iterable[bytes]]  # from serialized tf.Examples to as many, in their order


def splits_of(artifact: types.Artifact) -> list[str]:
    """Returns the names of the splits of an Examples artifact, in its own order."""
    return list(artifact_utils.decode_split_names(artifact.split_names))


def split_uris(examples: types.Artifact) -> dict[str, str]:
    """Returns the folder of each split of an Examples artifact."""
    return {split: artifact_utils.get_split_uri([examples], split) for split in splits_of(examples)}


def copy_dataset_properties(source: types.Artifact, target: types.Artifact) -> None:
    """Copies the custom properties that describe the data set (name, version, classes, counts), where it has them."""
    for name in _DATASET_PROPERTIES:
        if source.has_custom_property(name):
            target.set_string_custom_property(name, source.get_string_custom_property(name))


def class_names_of(artifact: types.Artifact) -> list[str]:
    """Returns the class names of an Examples artifact in label order; empty if it has none."""
    text = artifact.get_string_custom_property(contracts.CLASS_NAMES_PROPERTY)
    return json.loads(text) if text else []


def shards_for(num_examples: int, per_shard: int = EXAMPLES_PER_SHARD) -> int:
    """Returns the number of files for a split, at least 1.

    `num_examples` may be an estimate; `per_shard` of them share a file as long as there are at most MAX_SMALL_SHARDS
    files. In buckets a shard is sorted in memory: 512 photos of 60 kB, tf_flowers' average, are 30 MB.
    """
    small = min(MAX_SMALL_SHARDS, math.ceil(num_examples / per_shard))
    return max(1, small, math.ceil(num_examples / EXAMPLES_PER_SHARD))


def to_example(image: bytes, label: int, example_id: bytes) -> tf.train.Example:
    """Returns a raw example: a photo, its class and its id."""
    example = tf.train.Example()
    feature = example.features.feature
    feature[contracts.IMAGE_KEY].bytes_list.value.append(image)
    feature[contracts.LABEL_KEY].int64_list.value.append(label)
    feature[contracts.ID_KEY].bytes_list.value.append(example_id)
    return example


def list_files(uris: Mapping[str, str]) -> list[ExamplesFile]:
    """Returns the files of the splits, which `beam.Create` distributes evenly among workers without a reshuffle."""
    return [
        (split, name) for split, uri in uris.items() for name in sorted(fileio.listdir(uri)) if name.endswith(".gz")
    ]


def read_file(uris: Mapping[str, str], file: ExamplesFile) -> Iterator[bytes]:
    """Reads the serialized examples of one of `list_files`, in their order."""
    split, name = file
    yield from read_shard(f"{uris[split]}/{name}")


def read_split(uris: Mapping[str, str], split: str) -> Iterator[bytes]:
    """Reads a split's serialized examples, in the order of its files; `uris` holds its folder."""
    for file in list_files({split: uris[split]}):
        yield from read_file(uris, file)


def _write_shard(
    element: tuple[int, dict[str, Iterable[Placed]]],
    split_uri: str,
    num_shards: int,
    compression_level: int,
    finish: Finish | None,
) -> str:
    shard, groups = element
    path = f"{split_uri.rstrip('/')}/{_FILE_PREFIX}-{shard:05d}-of-{num_shards:05d}.gz"
    examples = in_order(groups["examples"])
    write_shard(path, finish(examples) if finish else examples, compression_level)
    return path


class WriteExamples(beam.PTransform):
    """Writes (id, serialized tf.Example) pairs as gzip TFRecords whose bytes depend on the examples alone.

    Examples must be serialized with `SerializeToString(deterministic=True)` for that: protobuf maps have no order.

    An example's shard and its place there follow from a hash of its id, so that classes are mixed even if ids begin
    with the class name. A split without examples still gets its files. Returns the paths written.

    In a local folder, examples wait in files until they are sorted, and only their places are shuffled: Beam's
    in-process runner would hold them all in memory.
    """

    def __init__(
        self, split_uri: str, num_shards: int, compression_level: int = STORED, finish: Finish | None = None
    ) -> None:
        """Takes the split's folder, the number of files (see `shards_for`) and gzip's level.

        `finish` completes the sorted examples of a file as they are written: what it adds is not shuffled.
        """
        super().__init__()
        if num_shards < 1:
            raise ValueError(f"num_shards is {num_shards}, must be at least 1")
        self._split_uri = split_uri
        self._num_shards = num_shards
        self._write = beam.Map(_write_shard, split_uri, num_shards, compression_level, finish)

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        set_aside = None if "://" in self._split_uri else f"{self._split_uri}/{_ASIDE_FOLDER}"
        light = pcoll | "SetAside" >> beam.ParDo(SetAsideFn(set_aside)) if set_aside else pcoll
        examples = light | "KeyByShard" >> beam.Map(with_shard, self._num_shards)
        # So that shards without examples are written, too.
        shards = pcoll.pipeline | "CreateShards" >> beam.Create([(shard, None) for shard in range(self._num_shards)])
        written = (
            {"examples": examples, "shards": shards}
            | "GroupByShard" >> beam.CoGroupByKey()
            | "WriteShard" >> self._write
        )
        if set_aside:
            folder = pcoll.pipeline | "AsideFolder" >> beam.Create([set_aside])
            _ = folder | "RemoveAside" >> beam.Map(remove_set_aside, beam.pvalue.AsIter(written))
        return written
