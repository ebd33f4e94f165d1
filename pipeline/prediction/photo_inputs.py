"""Reads photos: files, URLs, objects in buckets. Imports no TensorFlow, so errors come fast."""

import dataclasses
import errno
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from components.common.errors import UserError, reason_of
from components.contracts.quarantine import Reason
from components.photos.check import check_header
from components.photos.convert import convert_photo
from components.photos.formats import MAX_BYTES, NATIVE_FORMATS, find_format
from components.storage.objects import read_object

_TIMEOUT_S: Final = 15.0
_DEADLINE_S: Final = 120.0
_CHUNK_BYTES: Final = 2**16


@dataclasses.dataclass(frozen=True)
class PhotoInput:
    """The bytes of a photo that the served model takes, or an error."""

    name: str
    content: bytes = b""
    error: str | None = None


def read_photos(names: Iterable[str]) -> Iterator[PhotoInput]:
    """Reads photos lazily, in order."""
    return map(read_photo, names)


def read_photo(name: str) -> PhotoInput:
    """Reads a photo from a path, an http(s) URL, or a bucket (gs://BUCKET/rose.jpg), checks its header and converts it.

    Formats that the served model does not take are converted as in training; it takes the first frame of an animation.
    Raises UserError if a bucket does not answer, which says nothing about the photo.
    """
    try:
        content = _fetch(name) if is_url(name) else _read_remote(name) if "://" in name else _read(Path(name))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return PhotoInput(name, error=_reason(error))
    if len(content) > MAX_BYTES:
        return PhotoInput(name, error=f"more than {MAX_BYTES // 2**20} MiB")
    content = convert_photo(content)
    defect = check_header(content).defect
    if defect and not (defect.reason is Reason.ANIMATED and find_format(content) in NATIVE_FORMATS):
        return PhotoInput(name, error=f"{defect.reason.value}: {defect.detail}")
    return PhotoInput(name, content)


def is_url(source: str) -> bool:
    """Tells whether a photo is fetched over HTTP."""
    return source.startswith(("http://", "https://"))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _read_remote(uri: str) -> bytes:
    try:
        return read_object(uri)
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    except PermissionError as error:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error
    except OSError as error:
        raise UserError(f"cannot read {uri}: {reason_of(error)}") from error


def _fetch(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "flowers-pipeline"})  # noqa: S310  (http(s) only)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
        content = bytearray()
        deadline = time.monotonic() + _DEADLINE_S
        while len(content) <= MAX_BYTES and (chunk := response.read(_CHUNK_BYTES)):
            content += chunk
            # The socket's timeout starts anew with every byte.
            if time.monotonic() > deadline:
                raise TimeoutError(f"not complete after {_DEADLINE_S:.0f} s")
    return bytes(content)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"cannot be fetched: {error.reason}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {error}"
