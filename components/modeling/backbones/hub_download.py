"""Downloads with TF Hub's client, made safe against interruption.

Hub's client unpacks while it reads, and mistakes a connection that breaks between two files for the archive's end.
Here the whole archive is fetched, with retries, and checked before Hub's client unpacks it.
"""

import gzip
import hashlib
import http.client
import logging
import ssl
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from typing import IO, Final

from tensorflow_hub import compressed_module_resolver

from components.common.progress import report_progress
from components.modeling.backbones.cache import cache_dir

logger = logging.getLogger(__name__)

RETRY_DELAYS_S = (1.0, 2.0, 4.0)
_TIMEOUT_S: Final = 60.0
_UNPACKING_TIMEOUT_S: Final = 30
_CHUNK_BYTES: Final = 1 << 20
_REPORT_EVERY_CHUNKS: Final = 5
_GZIP_MAGIC: Final = b"\x1f\x8b"
_TRANSIENT_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})


class DamagedDownloadError(OSError):
    """The bytes received are not those that the server sent."""


def download_module(url: str, source_sha256: str | None) -> str:
    """Downloads a Hub URL or the URL of a .tar.gz, and returns the folder in TFHUB_CACHE_DIR where it is unpacked.

    Raises:
        OSError: The download failed, also after retries, or is not an archive.
        ValueError: The archive has another digest, or holds links, devices or paths that lead out of it.
    """
    resolver = _ArchiveResolver()
    with tempfile.TemporaryFile(dir=cache_dir()) as archive:
        resolver.fetch(url, archive)
        _check_digest(archive, source_sha256)
        return resolver.unpack(url, archive)


class _ArchiveResolver(compressed_module_resolver.HttpCompressedFileResolver):
    """Hub's resolver, split in fetching and unpacking."""

    _archive: IO[bytes]

    def fetch(self, url: str, archive: IO[bytes]) -> None:
        """Downloads with Hub's query and TLS settings; tries again after transient failures."""
        request = urllib.request.Request(self._append_compressed_format_query(url))  # noqa: S310 http(s) by is_url
        for delay in (*RETRY_DELAYS_S, None):
            try:
                archive.seek(0)
                archive.truncate()
                _fetch(request, self._context, archive)
                return
            except OSError as error:
                if delay is None or not _is_transient(error):
                    raise
                logger.info("Downloading %s failed (%s): trying again in %g s", url, error, delay)
                time.sleep(delay)

    def unpack(self, url: str, archive: IO[bytes]) -> str:
        """Runs Hub's resolver, which locks, unpacks to a temporary folder and renames it, on a fetched archive."""
        archive.seek(0)
        self._archive = archive
        return self(url)

    def _call_urlopen(self, request: urllib.request.Request) -> IO[bytes]:
        return self._archive

    def _lock_file_timeout_sec(self) -> int:
        # Hub's own value allows for the download.
        return _UNPACKING_TIMEOUT_S


def _fetch(request: urllib.request.Request, context: ssl.SSLContext | None, archive: IO[bytes]) -> None:
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=context) as response:  # noqa: S310
            length = response.headers.get("Content-Length")
            received = _copy(response, archive, int(length) if length else None)
    except http.client.HTTPException as error:
        raise DamagedDownloadError(f"the connection broke: {error}") from error
    if length is not None and received != int(length):
        raise DamagedDownloadError(f"the connection broke after {received} of {length} bytes")
    _check_gzip(archive)


def _copy(response: IO[bytes], archive: IO[bytes], length: int | None) -> int:
    received = 0
    for chunks, chunk in enumerate(iter(lambda: response.read(_CHUNK_BYTES), b"")):
        archive.write(chunk)
        received += len(chunk)
        if chunks % _REPORT_EVERY_CHUNKS == 0 or received == length:
            total = None if length is None else -(-length // _CHUNK_BYTES)
            report_progress("Downloading the backbone", -(-received // _CHUNK_BYTES), total, unit="MiB")
    return received


def _check_gzip(archive: IO[bytes]) -> None:
    """Verifies the checksum at the end of a gzip archive, which Hub's client does not read."""
    archive.seek(0)
    if archive.read(len(_GZIP_MAGIC)) != _GZIP_MAGIC:
        return  # Hub's client reads uncompressed archives, and refuses everything else.
    archive.seek(0)
    try:
        with gzip.GzipFile(fileobj=archive) as content:
            while content.read(_CHUNK_BYTES):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedDownloadError(f"the archive is damaged: {error}") from error


def _check_digest(archive: IO[bytes], source_sha256: str | None) -> None:
    archive.seek(0)
    digest = hashlib.sha256()
    for chunk in iter(lambda: archive.read(_CHUNK_BYTES), b""):
        digest.update(chunk)
    if source_sha256 not in (None, digest.hexdigest()):
        raise ValueError(f"the archive has SHA-256 {digest.hexdigest()}, not the pinned {source_sha256}")


def _is_transient(error: OSError) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _TRANSIENT_STATUS
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, DamagedDownloadError | TimeoutError | ConnectionResetError | ConnectionAbortedError)
