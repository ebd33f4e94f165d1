"""Preparation of TFDS datasets that come from the network: retries, progress, and messages a user can act on."""

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.util import DownloadError

from components.common.errors import UserError
from components.common.progress import report_progress

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 3
# TFDS' own ten retries of a connection, with exponential backoff, take over three minutes to find out that there is
# no network; three take a second, and attempts of the whole download come on top.
_CONNECTION_RETRIES: Final = 3
# TFDS waits for ever for a server that has stopped sending.
STALLED_SECONDS = 60.0
_PROGRESS_SECONDS: Final = 2.0
_MIB: Final = 2**20
_TRANSIENT = (requests.RequestException, NonMatchingChecksumError, ConnectionError)
_LASTING = (DownloadError, AssertionError, ValueError, ImportError)


def download_and_prepare(
    builder: tfds.core.DatasetBuilder, download_config: tfds.download.DownloadConfig, backoff_seconds: float = 2.0
) -> None:
    """Runs `builder.download_and_prepare`, again after failures that may pass.

    Args:
        builder: Builder of a dataset with downloads. TFDS checks them against its registered SHA-256 checksums.
        download_config: Passed on.
        backoff_seconds: Pause after the first failure; it doubles with each.

    Raises:
        UserError: The download failed, three times unless the failure was a lasting one.
    """
    downloader.MAX_RETRIES = _CONNECTION_RETRIES
    downloader._open_with_requests = _open_with_timeout
    folder = Path(builder.data_dir_root) / "downloads"
    for attempt in range(1, ATTEMPTS + 1):
        earlier = set(_unfinished(folder))
        try:
            with _progress_reports(builder, folder):
                builder.download_and_prepare(download_config=download_config)
            return
        except (*_TRANSIENT, *_LASTING) as error:
            for leftover in set(_unfinished(folder)) - earlier:
                shutil.rmtree(leftover, ignore_errors=True)
            reason = _one_line(error)
            if attempt == ATTEMPTS or not isinstance(error, _TRANSIENT):
                raise UserError(
                    f"cannot download {builder.name}: {reason}; without a network use `--preset quickstart` "
                    "(synthetic_flowers) or `--photos flower_photos.tgz`"
                ) from error
            pause = backoff_seconds * 2 ** (attempt - 1)
            logger.info("Downloading %s failed (%s); trying again in %g s", builder.name, reason, pause)
            time.sleep(pause)


_open_with_requests = downloader._open_with_requests


def _open_with_timeout(url: str, **kwargs: Any) -> contextlib.AbstractContextManager[Any]:
    opened: contextlib.AbstractContextManager[Any] = _open_with_requests(url, timeout=STALLED_SECONDS, **kwargs)
    return opened


def _unfinished(folder: Path) -> Iterator[Path]:
    """Yields TFDS' temporary folders of downloads."""
    return folder.rglob("*.tmp.*") if folder.is_dir() else iter(())


def _one_line(error: BaseException) -> str:
    if isinstance(error, NonMatchingChecksumError):
        return "what arrived does not have the registered SHA-256 checksum"
    if isinstance(error, requests.ConnectionError):
        return "no connection to " + str(error.request.url if error.request else "its host")
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextlib.contextmanager
def _progress_reports(builder: tfds.core.DatasetBuilder, folder: Path) -> Iterator[None]:
    """Reports how much has been downloaded while the block runs; TFDS itself only draws bars."""
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
