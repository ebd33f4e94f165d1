"""TFDS datasets: downloaded and prepared once, and read as examples."""

import contextlib
import functools
import hashlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
import requests
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.util import DownloadError

from components.common.errors import UserError
from components.common.progress import report_progress
from components.example_gen.data_source import FeatureKeys, find_feature_keys
from components.example_gen.synthetic_flowers.synthetic_flowers_dataset_builder import SyntheticFlowers
from components.storage.atomic import exclusive_lock
from components.storage.examples_io import to_example

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 3
_BACKOFF_SECONDS: Final = 2.0
# TFDS' own ten retries of a connection take over three minutes without a network; three take a second.
_CONNECTION_RETRIES: Final = 3
# TFDS itself waits forever for a server that has stopped sending.
STALLED_SECONDS = 60.0
_open_with_requests: Final = downloader._open_with_requests
_PROGRESS_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 24 * 3600
_MAX_REASON_LENGTH: Final = 300
_MANUAL: Final = "manual"  # TFDS's folder below `downloads` for files that users bring
_MIB: Final = 2**20
_TRANSIENT = (requests.RequestException, NonMatchingChecksumError, ConnectionError)
_LASTING = (DownloadError, AssertionError, ValueError, ImportError)


@beam.ptransform_fn
def TfdsToExamples(
    pipeline: beam.Pipeline, builder: tfds.core.DatasetBuilder, _exec_properties: dict[str, Any], split: str
) -> beam.PCollection:
    """Reads a slice of a prepared TFDS dataset, such as "train[:1835]", as tf.Examples, images undecoded."""
    keys = find_feature_keys(builder)
    read = tfds.beam.ReadFromTFDS(
        builder,
        split=split,
        decoders={keys.image: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    return pipeline | "ReadFromTFDS" >> read | "ToExample" >> beam.Map(tfds_to_example, keys)


def tfds_to_example(element: dict[str, tf.Tensor], keys: FeatureKeys) -> tf.train.Example:
    """Turns TFDS' tensors into a tf.Example; its id is the photo's file name, or the SHA-256 of a photo without one."""
    image = element[keys.image].numpy()
    # Not the position in the dataset, which changes when photos are added.
    example_id = element[keys.id].numpy() if keys.id else hashlib.sha256(image).hexdigest().encode()
    return to_example(image, int(element[keys.label].numpy()), example_id)


def prepare_dataset(builder: tfds.core.DatasetBuilder) -> tfds.core.DatasetBuilder:
    """Downloads and prepares a dataset, unless a complete copy is there; raises UserError if that fails.

    Returns a builder that needs only the files and can be sent to Beam workers.
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
        cause = error.__cause__ or error  # TFDS wraps errors of writing.
        if not isinstance(cause, (OSError, tf.errors.OpError)):
            raise
        reason = getattr(cause, "strerror", None) or _one_line(cause)
        raise UserError(f"cannot prepare {builder.name} in {root!r}: {reason}") from error
    return tfds.builder_from_directory(builder.data_dir)


def _is_complete(builder: tfds.core.DatasetBuilder) -> bool:
    splits = builder.info.splits.values()
    return builder.is_prepared() and all(path.exists() for split in splits for path in split.filepaths)


def _prepare(builder: tfds.core.DatasetBuilder) -> None:
    logger.info("Preparing %s %s in %s", builder.name, builder.version, builder.data_dir)
    is_own = isinstance(builder, SyntheticFlowers)
    # TFDS writes into `incomplete.<random>_<version>` and renames that. The lock excludes other preparations of an own
    # builder, but a hosted dataset may be prepared by another program.
    for leftover in Path(builder.data_dir).parent.glob("incomplete.*"):
        if is_own or time.time() - leftover.stat().st_mtime >= _STALE_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
    # Files of an incomplete copy are written again; complete downloads are kept.
    mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    config = tfds.download.DownloadConfig(download_mode=mode, try_download_gcs=False)
    # TFDS prints these two messages to stdout.
    builder._log_download_bytes = builder._log_download_done = lambda: None
    if is_own:
        builder.download_and_prepare(download_config=config)
    else:
        _download_and_prepare(builder, config)


def _download_and_prepare(builder: tfds.core.DatasetBuilder, config: tfds.download.DownloadConfig) -> None:
    """Tries again after transient failures; TFDS checks downloads against its registered SHA-256 checksums."""
    downloader.MAX_RETRIES = _CONNECTION_RETRIES
    downloader._open_with_requests = functools.partial(_open_with_requests, timeout=STALLED_SECONDS)
    folder = Path(builder.data_dir_root) / "downloads"
    for attempt in range(1, ATTEMPTS + 1):
        earlier = set(_unfinished(folder))
        try:
            with _progress_reports(builder, folder):
                builder.download_and_prepare(download_config=config)
            return
        except (*_TRANSIENT, *_LASTING) as error:
            for leftover in set(_unfinished(folder)) - earlier:
                shutil.rmtree(leftover, ignore_errors=True)
            reason = _one_line(error)
            if attempt == ATTEMPTS or not isinstance(error, _TRANSIENT) or _given_file(error):
                raise UserError(f"cannot download {builder.name}: {reason}; {_other_ways(builder, folder)}") from error
            pause = _BACKOFF_SECONDS * 2 ** (attempt - 1)
            logger.info("Downloading %s failed (%s); trying again in %g s", builder.name, reason, pause)
            time.sleep(pause)


def _given_file(error: BaseException) -> str:
    """Returns the file in TFDS's folder `manual` that has a wrong checksum; empty for other errors."""
    path = str(error).partition(", downloaded to ")[2].partition(", has wrong checksum")[0]
    return path if Path(path).parent.name == _MANUAL else ""


def _other_ways(builder: tfds.core.DatasetBuilder, folder: Path) -> str:
    """Returns what to do without a download: TFDS reads a file in its folder `manual`, and checks its SHA-256, too."""
    names = sorted({info.filename for info in (builder.url_infos or {}).values() if info.filename})
    ways = "without a network use `--preset quickstart` (synthetic_flowers)"
    if len(names) == 1:
        ways += f", or put {names[0]} into {folder / _MANUAL}"
    if builder.name == "tf_flowers":
        ways += "; `--photos flower_photos.tgz` has the same photos, but not TFDS's order, and so other splits"
    return ways


def _unfinished(folder: Path) -> Iterator[Path]:
    """Returns TFDS' temporary folders of downloads."""
    return folder.rglob("*.tmp.*") if folder.is_dir() else iter(())


def _one_line(error: BaseException) -> str:
    if isinstance(error, NonMatchingChecksumError):
        return f"{_given_file(error) or 'the download'} does not have the registered SHA-256 checksum"
    if isinstance(error, requests.ConnectionError):
        return "no connection to " + str(error.request.url if error.request else "its host")
    return " ".join(str(error).split())[:_MAX_REASON_LENGTH] or type(error).__name__


@contextlib.contextmanager
def _progress_reports(builder: tfds.core.DatasetBuilder, folder: Path) -> Iterator[None]:
    """Reports the size of the download while the block runs; TFDS itself only draws bars."""
    urls = builder.url_infos or {}
    total = next(iter(urls.values())).size // _MIB if len(urls) == 1 else None
    finished = threading.Event()

    def watch() -> None:
        last = 0
        while not finished.wait(_PROGRESS_SECONDS):
            with contextlib.suppress(OSError):
                files = (file for download in _unfinished(folder) for file in download.iterdir())
                size = sum(file.stat().st_size for file in files) // _MIB
                if size > last:
                    report_progress(f"Downloading {builder.name}", size, total, "MiB")
                    last = size

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
