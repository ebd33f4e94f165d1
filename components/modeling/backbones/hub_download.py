"""Downloads SavedModels: from Kaggle Models with kagglehub, from tfhub.dev and other addresses as archives.

Both ways go through `_Adapter` and are tried again after transient failures. Errors never name the address that
answered: those of redirects are signed.
"""

import contextlib
import functools
import gzip
import hashlib
import logging
import os
import shutil
import tarfile
import tempfile
import time
import types
import uuid
import zlib
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Final, TypeVar
from unittest import mock
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3.exceptions

from components.common.errors import reason_of
from components.common.progress import report_progress
from components.modeling.backbones.cache import kaggle_cache_dir

logger = logging.getLogger(__name__)

RETRY_DELAYS_S = (1.0, 2.0, 4.0)
_TIMEOUT_S = (10.0, 60.0)  # to connect, and between bytes
_MIB: Final = 1 << 20
_REPORT_EVERY_BYTES: Final = 5 * _MIB
_TRANSIENT_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})
_NETWORK_ERRORS: Final = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)

_Result = TypeVar("_Result")


class DownloadError(Exception):
    """A download failed, also after retries; the message is the server's answer, on one line."""


def download_from_kaggle(handle: str, again: bool = False) -> Path:
    """Downloads a Kaggle model, OWNER/MODEL/tensorFlow2/VARIATION[/VERSION], and returns its folder.

    A copy in kagglehub's cache is used unless `again`. In a Kaggle notebook the folder is mounted instead.
    """
    import kagglehub
    from kagglehub import clients, http_resolver

    logger.info("Fetching backbone %s with kagglehub", handle)
    with (
        mock.patch.dict(os.environ, KAGGLEHUB_CACHE=str(kaggle_cache_dir())),
        mock.patch.multiple(logging.getLogger("kagglehub"), handlers=[], propagate=True),
        mock.patch.multiple(clients, tqdm=_progress, already_printed_version_warning=True),
        mock.patch.object(http_resolver, "thread_map", functools.partial(http_resolver.thread_map, disable=True)),
        mock.patch.object(requests.sessions, "HTTPAdapter", _Adapter),
    ):
        return Path(_with_retries(lambda: kagglehub.model_download(handle, force_download=again)))


def download_archive(url: str, folder: Path, source_sha256: str | None) -> None:
    """Downloads a TF Hub module, or the .tar.gz of a SavedModel, and unpacks it into a new folder."""
    logger.info("Downloading backbone %s", url)

    def download() -> None:
        with tempfile.TemporaryFile(dir=folder.parent) as archive:
            digest = _fetch(url, archive)
            if source_sha256 not in (None, digest):
                raise DownloadError(f"the archive has SHA-256 {digest}, not the pinned {source_sha256}")
            _unpack(archive, folder)

    _with_retries(download)


def _with_retries(download: Callable[[], _Result]) -> _Result:
    delays = iter(RETRY_DELAYS_S)
    while True:
        try:
            return download()
        except DownloadError:
            raise
        # kagglehub's errors have no common class.
        except Exception as error:
            delay = next(delays, None)
            if delay is None or not _is_transient(error):
                raise DownloadError(_answer(error)) from None
            logger.info("The download failed (%s): trying again in %g s", _answer(error), delay)
            time.sleep(delay)


def _is_transient(error: Exception) -> bool:
    if (response := getattr(error, "response", None)) is not None:
        return response.status_code in _TRANSIENT_STATUS
    if isinstance(error, _NETWORK_ERRORS):
        # A MaxRetryError is what happened before there was a connection.
        return not isinstance(error.args[0], urllib3.exceptions.MaxRetryError)
    # The last is kagglehub's, for another digest than the server's header gave.
    damaged = isinstance(error, EOFError | zlib.error | gzip.BadGzipFile | tarfile.ReadError)
    return damaged or type(error).__name__ == "DataCorruptionError"


def _answer(error: Exception) -> str:
    if (response := getattr(error, "response", None)) is not None:
        return f"{urlsplit(response.url).hostname} answered {response.status_code} {response.reason}"
    if not isinstance(error, _NETWORK_ERRORS):
        return reason_of(error) or type(error).__name__
    # A MaxRetryError holds the address; its reason only the name of an object, before the last colon.
    cause = str(getattr(error.args[0], "reason", error.args[0])).rpartition(": ")[2]
    cause = "no answer in time" if isinstance(error, requests.Timeout) else cause
    return f"{'the connection broke' if _is_transient(error) else 'no connection'} ({cause})"


class _Adapter(requests.adapters.HTTPAdapter):
    """Gives up on a server that stops sending, and notices a body that is cut: requests, with urllib3 1, does not."""

    def send(self, request: Any, stream: bool = False, timeout: Any = None, *args: Any, **kwargs: Any) -> Any:
        response = super().send(request, stream, timeout or _TIMEOUT_S, *args, **kwargs)
        response.raw.enforce_content_length = True
        # kagglehub appends whatever answers its request for the rest of a file.
        if "Range" in request.headers and response.status_code != HTTPStatus.PARTIAL_CONTENT:
            raise requests.HTTPError("not the rest of the file", response=response)
        return response


@contextlib.contextmanager
def _progress(total: int = 0, initial: int = 0, **_: object) -> Iterator[Any]:
    """Reports the bytes of one file; called as tqdm is."""
    received = initial

    def update(count: int) -> None:
        nonlocal received
        before, received = received, received + count
        if before // _REPORT_EVERY_BYTES != received // _REPORT_EVERY_BYTES:
            report_progress("Downloading the backbone", received // _MIB, -(-total // _MIB) or None, unit="MiB")

    yield types.SimpleNamespace(update=update)


def _fetch(url: str, archive: IO[bytes]) -> str:
    """Writes the archive at a URL to a file, as TF Hub's client asks for it, and returns its SHA-256."""
    query = {} if urlsplit(url).path.endswith((".tar", ".tar.gz", ".tgz")) else {"tf-hub-format": "compressed"}
    digest = hashlib.sha256()
    with requests.Session() as session:
        session.adapters = dict.fromkeys(session.adapters, _Adapter())
        # No content encoding: the bytes arrive as they are stored.
        response = session.get(url, params=query, headers={"Accept-Encoding": "identity"}, stream=True)
        response.raise_for_status()
        with _progress(int(response.headers.get("Content-Length", 0))) as progress:
            for chunk in response.iter_content(_MIB):
                archive.write(chunk)
                digest.update(chunk)
                progress.update(len(chunk))
    return digest.hexdigest()


def _unpack(archive: IO[bytes], folder: Path) -> None:
    """Unpacks an archive that is complete: what is cut or damaged raises an error and leaves nothing."""
    archive.seek(0)
    if not tarfile.is_tarfile(archive):
        raise DownloadError("the answer is not an archive")
    archive.seek(0)
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")
    try:
        with tarfile.open(fileobj=archive) as content:
            content.extractall(partial, filter="data")
            # gzip's checksum comes last, behind what tarfile reads.
            while content.fileobj and content.fileobj.read(_MIB):
                pass
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
