"""The files of examples: read to be checked, and passed on as they are or without what is left out."""

import hashlib
from collections.abc import Iterator, Mapping

import apache_beam as beam
import tensorflow as tf

from components.common import contracts
from components.common.contracts.quarantine import QuarantineEntry
from components.common.examples_io import ExamplesFile, read_file
from components.common.storage.shards import pass_on, read_shard, write_shard
from components.image_validator import decisions
from components.image_validator.duplicates import Photo, PhotoKey

FileExample = tuple[ExamplesFile, bytes]  # (file, serialized tf.Example)


def _path(uris: Mapping[str, str], file: ExamplesFile) -> str:
    split, name = file
    return f"{uris[split]}/{name}"


class ReadFileFn(beam.DoFn):
    """Reads files as (file, serialized tf.Example)."""

    def __init__(self, uris: Mapping[str, str]) -> None:
        self._uris = uris

    def process(self, file: ExamplesFile) -> Iterator[FileExample]:
        for serialized in read_file(self._uris, file):
            yield file, serialized


class PassOnFn(beam.DoFn):
    """Makes files part of the output: as they are, or without the examples that do not stay in their split.

    Examples that move come into a file of their own.
    """

    def __init__(self, sources: Mapping[str, str], targets: Mapping[str, str]) -> None:
        self._sources, self._targets = sources, targets

    def process(
        self, file: ExamplesFile, changed: Mapping[ExamplesFile, None], entries: Mapping[PhotoKey, QuarantineEntry]
    ) -> None:
        path = _path(self._sources, file)
        if file not in changed:
            pass_on(path, _path(self._targets, file))
            return
        split, name = file
        moved: dict[str, list[bytes]] = {}

        def staying() -> Iterator[bytes]:
            for serialized in read_shard(path):
                target = decisions.output_split(split, entries.get(parse_example(split, serialized)[0]))
                if target == split:
                    yield serialized
                elif target:
                    moved.setdefault(target, []).append(serialized)

        write_shard(_path(self._targets, file), staying())
        for target, examples in moved.items():
            stem, _, ending = name.partition("-")
            write_shard(_path(self._targets, (target, f"{stem}-from-{split}-{ending}")), examples)


def parse_example(split: str, serialized: bytes) -> tuple[PhotoKey, tf.train.Example, bytes]:
    """Returns the key of a photo, its example, and the file that it was; an empty one where there is none."""
    parsed = tf.train.Example.FromString(serialized)
    image = _first_bytes(parsed, contracts.IMAGE_KEY)
    return (split, _first_bytes(parsed, contracts.ID_KEY), hashlib.sha256(image).digest()), parsed, image


def _first_bytes(example: tf.train.Example, key: str) -> bytes:
    values = example.features.feature[key].bytes_list.value
    return values[0] if values else b""


def changed_file(
    element: tuple[ExamplesFile, Photo], entries: Mapping[PhotoKey, QuarantineEntry]
) -> Iterator[tuple[ExamplesFile, None]]:
    """Yields a photo's file, as a key, if the photo does not stay in its split."""
    file, photo = element
    if decisions.output_split(photo.split, entries.get(photo.key)) != photo.split:
        yield file, None
