"""Objects of S3, and of what speaks its language, by their s3:// paths.

The environment says where and who: `S3_ENDPOINT`, `S3_USE_HTTPS`, `S3_VERIFY_SSL`, and AWS's own variables. What S3
refuses is an OSError of one line.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from typing import Any, Final

from tfx.dsl.io import filesystem

SCHEME = "s3://"

# What S3 says of one object; an archived one (InvalidObjectState) has to be restored first.
_ERRORS: Final = {
    "NoSuchKey": filesystem.NotFoundError,
    "AccessDenied": PermissionError,
    "InvalidObjectState": PermissionError,
}
# As many as threads read at once.
_CONNECTIONS: Final = 32
_LOCK: Final = threading.Lock()


@functools.cache
def client() -> Any:
    """Returns the client that the environment describes; the same one each time."""
    import boto3
    from botocore.config import Config

    endpoint = os.environ.get("S3_ENDPOINT")
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if os.environ.get('S3_USE_HTTPS') == '0' else 'https'}://{endpoint}"
    verify = False if os.environ.get("S3_VERIFY_SSL") == "0" else None
    region = os.environ.get("AWS_REGION")
    # boto3's clients serve all threads, but two of them must not make one at once.
    with _LOCK:
        config = Config(max_pool_connections=_CONNECTIONS)
        return boto3.client("s3", endpoint_url=endpoint, region_name=region, verify=verify, config=config)


@contextlib.contextmanager
def _answering_for(path: str) -> Iterator[None]:
    """Makes what S3 answers an OSError of one line, as any file system's errors are."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError as error:
        raise PermissionError(
            f"{path}: no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from error
    except (BotoCoreError, ClientError) as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        raise _ERRORS.get(code, OSError)(f"{path}: {error}") from error


def _split(path: str) -> tuple[str, str]:
    """Returns bucket and key."""
    bucket, _, key = path.removeprefix(SCHEME).partition("/")
    return bucket, key


def as_folder(path: str) -> str:
    """Returns the path with a slash at its end: what all that is in the folder begins with."""
    return path.rstrip("/") + "/"


def _pages(path: str, **options: str) -> Iterator[dict[str, Any]]:
    bucket, prefix = _split(path)
    with _answering_for(path):
        yield from client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **options)


def pages(start: str, after: str = "") -> Iterator[list[tuple[str, str]]]:
    """Yields pages of the objects whose paths begin with `start`, in their order.

    Args:
        start: What their paths begin with.
        after: A path; those up to it are passed over.

    Yields:
        Paths, and what changes with their content: size and entity tag.
    """
    bucket, _ = _split(start)
    options = {"StartAfter": key} if (key := _split(after)[1]) else {}
    for page in _pages(start, **options):
        entries = page.get("Contents", [])
        yield [(f"{SCHEME}{bucket}/{entry['Key']}", f"{entry['Size']}-{entry['ETag']}") for entry in entries]


def files_from(start: str) -> Iterator[str]:
    """Yields the paths of the objects that begin like this, sorted."""
    for page in pages(start):
        yield from (path for path, _ in page)


def children(path: str) -> tuple[list[str], list[str]]:
    """Returns the names of the folders and of the files in a folder."""
    start = _split(as_folder(path))[1]
    folders: list[str] = []
    files: list[str] = []
    for page in _pages(as_folder(path), Delimiter="/"):
        folders += [entry["Prefix"][len(start) : -1] for entry in page.get("CommonPrefixes", [])]
        # An object of the folder's own name is how other programs make an empty folder.
        files += [entry["Key"][len(start) :] for entry in page.get("Contents", []) if entry["Key"] != start]
    return folders, files


def is_file(path: str) -> bool:
    """Tells whether there is an object of that name."""
    return next(files_from(path), None) == path


def get(path: str) -> bytes:
    """Returns what an object holds."""
    bucket, key = _split(path)
    with _answering_for(path):
        content: bytes = client().get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def put(path: str, content: bytes) -> None:
    """Writes an object."""
    bucket, key = _split(path)
    with _answering_for(path):
        client().put_object(Bucket=bucket, Key=key, Body=content)


def copy(src: str, dst: str) -> None:
    """Copies an object within S3."""
    (from_bucket, from_key), (bucket, key) = _split(src), _split(dst)
    with _answering_for(src):
        client().copy({"Bucket": from_bucket, "Key": from_key}, bucket, key)


def delete(path: str) -> None:
    """Deletes an object; none is no error."""
    bucket, key = _split(path)
    with _answering_for(path):
        client().delete_object(Bucket=bucket, Key=key)
