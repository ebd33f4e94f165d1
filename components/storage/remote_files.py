"""Files in S3, Google Cloud Storage and HDFS by their URIs: listed with what changes with their content, and read.

One client serves a whole process. Beam's own file systems make one for every file that they open, which takes longer
than to read a photo, and their listings have no checksums.
"""

import bisect
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Final

from components.common.errors import UserError

_PACKAGES: Final = {"s3": "boto3", "gs": "google-cloud-storage", "hdfs": "hdfs"}
# How many files one thread looks for; a page of a listing holds up to as many.
_WANTED_AT_ONCE: Final = 1000
_THREADS: Final = 16
_PARTS: Final = 4  # of SCHEME://BUCKET/NAME, at its slashes


def is_remote(path: str) -> bool:
    """Tells whether a path is a URI, such as gs://BUCKET/photos."""
    return "://" in path


def files_below(folder: str) -> Iterator[tuple[str, str]]:
    """Yields all files below a folder, from one listing.

    Args:
        folder: Its URI.

    Yields:
        Their paths relative to it, and what changes with their content: size and checksum.

    Raises:
        OSError: The storage refuses.
        UserError: There is no client for it.
    """
    start = folder.rstrip("/") + "/"
    for page in _objects(folder).pages(start):
        # What ends in a slash is how other programs make an empty folder.
        yield from ((uri[len(start) :], version) for uri, version in page if not uri.endswith("/"))


def find_files(uris: Collection[str]) -> dict[str, str]:
    """Looks files up, by listing what lies between the first and the last of them in each bucket.

    Args:
        uris: Their URIs.

    Returns:
        What changes with their content (see `files_below`), for those that are there.

    Raises:
        OSError: The storage refuses.
        UserError: There is no client for it.
    """
    buckets: dict[str, list[str]] = {}
    for uri in sorted(uri for uri in set(uris) if len(uri.split("/", 3)) == _PARTS):
        buckets.setdefault("/".join(uri.split("/", 3)[:3]), []).append(uri)
    parts = [
        wanted[start : start + _WANTED_AT_ONCE]
        for wanted in buckets.values()
        for start in range(0, len(wanted), _WANTED_AT_ONCE)
    ]
    found: dict[str, str] = {}
    with ThreadPoolExecutor(_THREADS) as threads:
        for part in threads.map(_find_sorted, parts):
            found |= part
    return found


def read_file(uri: str) -> bytes:
    """Returns what a file holds.

    Args:
        uri: Its URI.

    Raises:
        OSError: The storage refuses, or the file is not there.
        UserError: There is no client for it.
    """
    content: bytes = _objects(uri).get(uri)
    return content


def _find_sorted(wanted: Sequence[str]) -> dict[str, str]:
    """Finds files of one bucket: a page of its listing at a time, from the next one that is wanted."""
    objects = _objects(wanted[0])
    common = os.path.commonprefix([wanted[0], wanted[-1]]).rpartition("/")[0] + "/"  # noqa: RUF071  (of any names)
    found: dict[str, str] = {}
    position, after = 0, ""
    while position < len(wanted):
        # A name without its last character comes before it, and next to nothing lies between.
        after = max(after, wanted[position][:-1])
        page: list[tuple[str, str]] = next(objects.pages(common, after), [])
        if not page:
            break
        versions = dict(page)
        after = page[-1][0]
        end = bisect.bisect_right(wanted, after, position)
        found |= {uri: versions[uri] for uri in wanted[position:end] if uri in versions}
        position = end
    return found


def _objects(uri: str) -> ModuleType:
    """Returns the module that knows a storage's objects."""
    scheme = uri.partition("://")[0]
    # Imported one by one: a component's cache key holds the code that its modules import.
    try:
        if scheme == "s3":
            import boto3  # noqa: F401

            from components.storage import s3_objects

            return s3_objects
        if scheme == "gs":
            import google.cloud.storage  # noqa: F401

            from components.storage import gcs_objects

            return gcs_objects
        if scheme == "hdfs":
            import hdfs  # noqa: F401

            from components.storage import hdfs_files

            return hdfs_files
    except ImportError as error:
        package = _PACKAGES[scheme]
        raise UserError(f"cannot read {uri!r} without the Python package {package}: pip install {package}") from error
    schemes = ", ".join(f"{known}://" for known in _PACKAGES)
    raise UserError(f"cannot read {uri!r}: expected a path on this machine, or a URI with one of {schemes}")
