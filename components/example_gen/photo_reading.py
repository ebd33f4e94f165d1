"""Photos listed for Beam's workers, which read and convert them while they write the examples.

The shuffle in between carries paths only: Beam's in-process runner holds shuffled data in memory, other engines store
it once more.
"""

import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import apache_beam as beam
import tensorflow as tf
from apache_beam.utils.shared import Shared

from components import contracts
from components.common.errors import UserError, reason_of
from components.common.progress import WorkerProgress, process_name
from components.photos.convert import convert_photo
from components.photos.split_assignment import SplitPhotos
from components.storage.examples_io import to_example
from components.storage.objects import is_remote, read_object

_REPORTS: Final = 20
_READERS, _READ_AT_ONCE = 4, 32  # threads of a worker, and photos that it holds in memory
_REMOTE_READERS: Final = 16  # A bucket answers many requests at once, each after tens of milliseconds.


class ListPhotos(beam.PTransform):
    """Lists the photos of one split as tf.Examples with the path, as bytes, in place of the photo."""

    def __init__(self, photos: SplitPhotos, split: str):
        super().__init__()
        labels = {name: label for label, name in enumerate(photos.photo_set.class_names)}
        self._listed = [
            (os.fsencode(photo.file), labels[photo.class_name], os.fsencode(photo.path))
            for photo in photos.splits.get(split, ())
        ]

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        return pbegin | "ListPhotos" >> beam.Create(self._listed) | "ToExample" >> beam.MapTuple(to_example)


class ReadPhotos:
    """Puts photos into serialized examples of `ListPhotos`; reading and conversion overlap."""

    def __init__(self, total: int, remote: bool = False):
        """Stores the number of photos in all splits, for the progress shown, and whether they are in a bucket."""
        self._total, self._remote, self._shared = total, remote, Shared()
        self._launcher = process_name()

    def __call__(self, listed: Iterable[bytes]) -> Iterator[bytes]:
        """Yields the examples with their photos, in the same order; raises UserError if one cannot be read."""
        every = max(1, self._total // _REPORTS)
        progress = self._shared.acquire(lambda: WorkerProgress("Reading photos", self._total, self._launcher, every))
        remaining = iter(listed)
        with ThreadPoolExecutor(_REMOTE_READERS if self._remote else _READERS) as threads:
            while batch := list(itertools.islice(remaining, _READ_AT_ONCE)):
                for example in threads.map(_read, batch):
                    yield example
                    progress.add()


def _read(listed: bytes) -> bytes:
    example = tf.train.Example.FromString(listed)
    image = example.features.feature[contracts.IMAGE_KEY].bytes_list
    path = os.fsdecode(image.value[0])
    try:
        photo = read_object(path) if is_remote(path) else Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the photo {path!r}: {error.strerror or reason_of(error)}") from error
    image.value[0] = convert_photo(photo)
    return example.SerializeToString(deterministic=True)
