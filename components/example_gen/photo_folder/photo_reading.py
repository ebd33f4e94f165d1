"""Photos read, converted and made examples of by Beam's workers."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import apache_beam as beam
import tensorflow as tf
from apache_beam.utils.shared import Shared

from components.common.errors import UserError, reason_of
from components.common.examples_io import to_example
from components.common.photo_formats.photo_conversion import convert_photo
from components.common.progress import WorkerProgress, process_name
from components.common.storage.remote_files import is_remote, read_file
from components.example_gen.photo_folder.own_photos import OwnPhotos

_REPORTS: Final = 20
_READERS, _READ_AT_ONCE = 4, 32  # threads of a worker, and photos that it holds in memory
_REMOTE_READERS: Final = 16  # A bucket answers many requests at once, each after tens of milliseconds.

ListedPhoto = tuple[bytes, bytes, int]  # (id, path on the worker or URI, label): names of files need not be text


class PhotosToExamples(beam.PTransform):
    """Reads the photos of one split as tf.Examples, undecoded; their ids are their paths as the user has them."""

    def __init__(self, photos: OwnPhotos, split: str, convert: bool, shared: Shared):
        """Lists the photos.

        Args:
            photos: The photos of all splits.
            split: The split to read, which may have none.
            convert: Whether photos in formats that TensorFlow does not decode become JPEGs.
            shared: Handle to the progress of a worker process.
        """
        super().__init__()
        labels = {name: label for label, name in enumerate(photos.photo_set.class_names)}
        listed: list[ListedPhoto] = [
            (os.fsencode(photo.path), os.fsencode(photo.file), labels[photo.class_name])
            for photo in photos.splits.get(split, ())
        ]
        self._batches = [listed[start : start + _READ_AT_ONCE] for start in range(0, len(listed), _READ_AT_ONCE)]
        readers = _REMOTE_READERS if any(is_remote(photo.file) for photo in photos.splits.get(split, ())) else _READERS
        self._read = _ReadPhotosFn(convert, len(photos.photo_set.files), readers, shared)

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        return pbegin | "ListPhotos" >> beam.Create(self._batches) | "ReadPhotos" >> beam.ParDo(self._read)


class _ReadPhotosFn(beam.DoFn):
    """Turns lists of photos into their examples; reading and conversion overlap."""

    def __init__(self, convert: bool, total: int, readers: int, shared: Shared):
        self._convert, self._total, self._readers, self._shared = convert, total, readers, shared
        self._launcher = process_name()

    def setup(self) -> None:
        every = max(1, self._total // _REPORTS)
        self._progress = self._shared.acquire(
            lambda: WorkerProgress("Reading photos", self._total, self._launcher, every)
        )
        self._threads = ThreadPoolExecutor(self._readers)

    def teardown(self) -> None:
        self._threads.shutdown()

    def process(self, photos: Sequence[ListedPhoto]) -> Iterator[tf.train.Example]:
        for (example_id, _, label), image in zip(photos, self._threads.map(self._read, photos), strict=True):
            yield to_example(image, label, example_id)
            self._progress.add()

    def _read(self, photo: ListedPhoto) -> bytes:
        path = os.fsdecode(photo[1])
        try:
            image = read_file(path) if is_remote(path) else Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"cannot read the photo {path!r}: {error.strerror or reason_of(error)}") from error
        return convert_photo(image) if self._convert else image
