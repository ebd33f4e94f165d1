"""Files of HDFS by their paths, hdfs://HOST/PATH, through WebHDFS and the client that Beam takes for it.

The environment says where and who: `HDFS_HOST`, where that is not the host in the path, `HDFS_PORT` and `HDFS_USER`.
What HDFS refuses is an OSError of one line.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any, Final

SCHEME: Final = "hdfs://"
_PORT: Final = "9870"
_TIMEOUT_S: Final = 60.0


@functools.cache
def client(host: str) -> Any:
    """Returns the client of a host; the same one each time."""
    from hdfs import InsecureClient

    user = os.environ.get("HDFS_USER") or os.environ.get("USER") or "hdfs"
    return InsecureClient(f"http://{host}:{os.environ.get('HDFS_PORT') or _PORT}", user=user, timeout=_TIMEOUT_S)


@contextlib.contextmanager
def _reaching(uri: str) -> Iterator[tuple[Any, str]]:
    """Gives the client, and what it calls a path; what HDFS answers is an OSError of one line."""
    from hdfs import HdfsError
    from requests import RequestException

    host, _, path = uri.removeprefix(SCHEME).partition("/")
    host = os.environ.get("HDFS_HOST") or host.partition(":")[0]
    if not host:
        raise OSError(f"{uri} has no host: write hdfs://HOST/PATH, or set HDFS_HOST")
    try:
        yield client(host), f"/{path}"
    except HdfsError as error:
        kind = FileNotFoundError if "FileNotFound" in (getattr(error, "exception", None) or "") else OSError
        raise kind(f"{uri}: {error}") from error
    except RequestException as error:
        raise OSError(f"{uri}: {error}") from error


def pages(start: str, after: str = "") -> Iterator[list[tuple[str, str]]]:
    """Yields one page with all files below a folder, in the order of their paths.

    Args:
        start: The folder, ending in a slash; none is empty.
        after: A path; those up to it are passed over.

    Yields:
        Paths, and what changes with their content: size and time of the last change.
    """
    found: list[tuple[str, str]] = []
    with _reaching(start) as (client, top):
        if client.status(top, strict=False):
            for (folder, _), _, files in client.walk(top, status=True):
                below = f"{start}{folder[len(top) :].lstrip('/')}".rstrip("/")
                found += [(f"{below}/{name}", f"{s['length']}-{s['modificationTime']}") for name, s in files]
    yield sorted(entry for entry in found if entry[0] > after)


def get(uri: str) -> bytes:
    """Returns what a file holds."""
    with _reaching(uri) as (client, path), client.read(path) as reader:
        content: bytes = reader.read()
    return content
