"""Prepared TFDS datasets: made once, kept, and read as examples."""

import contextlib
import hashlib
import logging
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
import tensorflow as tf
import tensorflow_datasets as tfds

from components.common.errors import UserError
from components.common.examples_io import to_example
from components.common.storage.locks import exclusive_lock
from components.example_gen.builders import FeatureKeys, find_feature_keys
from components.example_gen.synthetic_flowers.synthetic_flowers_dataset_builder import SyntheticFlowers
from components.example_gen.tfds_datasets.downloads import download_and_prepare

logger = logging.getLogger(__name__)

_STALE_SECONDS: Final = 24 * 3600


class ToExampleFn(beam.DoFn):
    """Turns TFDS' tensors into tf.Examples of `image`, `label` and `id`.

    The id is the photo's file name, or the SHA-256 of its bytes in data sets that keep no names.
    """

    def __init__(self, keys: FeatureKeys):
        self._keys = keys

    def process(self, element: dict[str, tf.Tensor]) -> Iterable[tf.train.Example]:
        image = element[self._keys.image].numpy()
        # A position in the data set would name another photo as soon as some are added.
        example_id = element[self._keys.id].numpy() if self._keys.id else hashlib.sha256(image).hexdigest().encode()
        yield to_example(image, int(element[self._keys.label].numpy()), example_id)


class TfdsToExamples(beam.PTransform):
    """Reads a slice of a prepared TFDS dataset as tf.Examples, images undecoded."""

    def __init__(self, builder: tfds.core.DatasetBuilder, exec_properties: dict[str, Any], split_pattern: str):
        """Creates the transform.

        Args:
            builder: Builder of a prepared dataset.
            exec_properties: Not used; the argument is part of the base executor's contract.
            split_pattern: A TFDS slice such as "train[:1835]".
        """
        super().__init__()
        del exec_properties
        self._builder, self._split_pattern = builder, split_pattern

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        keys = find_feature_keys(self._builder)
        return (
            pipeline
            | "ReadFromTFDS"
            >> tfds.beam.ReadFromTFDS(
                self._builder,
                split=self._split_pattern,
                decoders={keys.image: tfds.decode.SkipDecoding()},
                read_config=tfds.ReadConfig(try_autocache=False),
            )
            | "ToExample" >> beam.ParDo(ToExampleFn(keys))
        )


def prepare_dataset(builder: tfds.core.DatasetBuilder) -> tfds.core.DatasetBuilder:
    """Downloads and prepares a dataset unless a complete copy is there.

    Args:
        builder: From `components.example_gen.builders.make_builder`.

    Returns:
        A builder that reads the prepared dataset and can be sent to Beam workers: it needs nothing but the files.

    Raises:
        UserError: A download failed, the disk is full, or the folder cannot be written.
    """
    if _is_complete(builder):
        return tfds.builder_from_directory(builder.data_dir)
    tfds.disable_progress_bar()
    root = str(builder.data_dir_root)
    lock = contextlib.nullcontext() if "://" in root else exclusive_lock(Path(root) / f"{builder.name}.lock")
    try:
        with lock:
            if not _is_complete(builder):  # Another run may have prepared it meanwhile.
                _prepare(builder)
    except (OSError, tf.errors.OpError, RuntimeError) as error:
        cause = error.__cause__ or error  # TFDS wraps what fails while it writes.
        if not isinstance(cause, (OSError, tf.errors.OpError)):
            raise
        reason = getattr(cause, "strerror", None) or " ".join(str(cause).split())[:300]
        raise UserError(f"cannot prepare {builder.name} in {root!r}: {reason}") from error
    return tfds.builder_from_directory(builder.data_dir)


def _prepare(builder: tfds.core.DatasetBuilder) -> None:
    logger.info("Preparing %s %s in %s", builder.name, builder.version, builder.data_dir)
    is_own = isinstance(builder, SyntheticFlowers)
    # Under the lock what an own builder left unfinished is nobody's; a hosted dataset may be another program's.
    _remove_unfinished(Path(builder.data_dir).parent, 0 if is_own else _STALE_SECONDS)
    config = tfds.download.DownloadConfig(
        # Files of an incomplete copy are written again; complete downloads are kept.
        download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS,
        try_download_gcs=False,
    )
    # TFDS prints these two messages past every logger.
    builder._log_download_bytes = builder._log_download_done = lambda: None
    if is_own:
        builder.download_and_prepare(download_config=config)
    else:
        download_and_prepare(builder, config)


def _is_complete(builder: tfds.core.DatasetBuilder) -> bool:
    splits = builder.info.splits.values()
    return builder.is_prepared() and all(path.exists() for split in splits for path in split.filepaths)


def _remove_unfinished(folder: Path, min_age_seconds: float) -> None:
    """Removes what killed preparations left: TFDS writes into `incomplete.<random>_<version>` and renames that."""
    for leftover in folder.glob("incomplete.*"):
        if time.time() - leftover.stat().st_mtime >= min_age_seconds:
            shutil.rmtree(leftover, ignore_errors=True)
