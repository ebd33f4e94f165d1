"""TFX's file operations on s3://, for S3 and what speaks its language: TensorFlow has no S3 of its own any more.

The environment says where and who: `S3_ENDPOINT`, `S3_USE_HTTPS`, `S3_VERIFY_SSL`, and AWS's own variables.
"""

import contextlib
import fnmatch
import functools
import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, ClassVar

from tfx.dsl.io import filesystem, filesystem_registry

_SCHEME = "s3://"


def register() -> None:
    """Makes TFX use this for s3:// instead of TensorFlow.

    Raises:
        ImportError: boto3 is not installed.
    """
    import boto3  # noqa: F401

    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(S3Filesystem, priority=-1)


class S3Filesystem(filesystem.Filesystem):
    """Objects as files; a folder is there as long as something is in it."""

    SUPPORTED_SCHEMES: ClassVar = [_SCHEME]

    @staticmethod
    def open(name: str, mode: str = "r") -> IO[Any]:
        if mode.strip("b") == "r":
            content: IO[Any] = io.BytesIO(_get(name))
        elif mode.strip("b") == "w":
            content = _Upload(name)
        else:
            raise NotImplementedError(f"mode {mode!r} on {name}: an object is read or written as a whole")
        return content if "b" in mode else io.TextIOWrapper(content, encoding="utf-8")

    @staticmethod
    def copy(src: str, dst: str, overwrite: bool = False) -> None:
        _check_target(dst, overwrite)
        _copy(src, dst)

    @staticmethod
    def exists(path: str) -> bool:
        return _is_file(path) or S3Filesystem.isdir(path)

    @staticmethod
    def glob(pattern: str) -> list[str]:
        start = pattern[: min((pattern.index(sign) for sign in "*?[" if sign in pattern), default=len(pattern))]
        alike = (path for path in _files(start) if fnmatch.fnmatchcase(path, pattern))
        # A star stands for what is within one folder.
        return [path for path in alike if path.count("/") == pattern.count("/")]

    @staticmethod
    def isdir(path: str) -> bool:
        return next(_files(_folder(path)), None) is not None

    @staticmethod
    def listdir(path: str) -> list[str]:
        folders, files = _children(path)
        if not folders and not files:
            raise filesystem.NotFoundError(path)
        return folders + files

    @staticmethod
    def makedirs(path: str) -> None:
        """Does nothing: writing an object makes its folders."""

    @staticmethod
    def mkdir(path: str) -> None:
        """Does nothing, like `makedirs`."""

    @staticmethod
    def remove(path: str) -> None:
        if not _is_file(path):
            raise filesystem.NotFoundError(path)
        _delete(path)

    @staticmethod
    def rename(src: str, dst: str, overwrite: bool = False) -> None:
        """Renames a file or a folder, file by file: S3 knows no other way."""
        _check_target(dst, overwrite)
        moved = [src] if _is_file(src) else list(_files(_folder(src)))
        if not moved:
            raise filesystem.NotFoundError(src)
        for path in moved:
            _copy(path, dst + path[len(src) :])
        for path in moved:
            _delete(path)

    @staticmethod
    def rmtree(path: str) -> None:
        for file in list(_files(_folder(path))):
            _delete(file)

    @staticmethod
    def walk(
        top: str, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[str, list[str], list[str]]]:
        folders, files = _children(top)
        here = (top, folders, files)
        if topdown:
            yield here
        for folder in folders:
            yield from S3Filesystem.walk(_folder(top) + folder, topdown, onerror)
        if not topdown:
            yield here


class _Upload(io.BytesIO):
    """A file that becomes an object when it is closed."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            bucket, key = _split(self._path)
            with _answering_for(self._path):
                _client().put_object(Bucket=bucket, Key=key, Body=self.getvalue())
        super().close()


@functools.cache
def _client() -> Any:
    import boto3

    endpoint = os.environ.get("S3_ENDPOINT")
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if os.environ.get('S3_USE_HTTPS') == '0' else 'https'}://{endpoint}"
    verify = False if os.environ.get("S3_VERIFY_SSL") == "0" else None
    return boto3.client("s3", endpoint_url=endpoint, region_name=os.environ.get("AWS_REGION"), verify=verify)


@contextlib.contextmanager
def _answering_for(path: str) -> Iterator[None]:
    """Makes what S3 answers an OSError of one line, as any file system's errors are."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        kind = filesystem.NotFoundError if error.response["Error"]["Code"] == "NoSuchKey" else OSError
        raise kind(f"{path}: {error}") from error
    except BotoCoreError as error:
        raise OSError(f"{path}: {error}") from error


def _split(path: str) -> tuple[str, str]:
    """Returns bucket and key."""
    bucket, _, key = path.removeprefix(_SCHEME).partition("/")
    return bucket, key


def _folder(path: str) -> str:
    return path.rstrip("/") + "/"


def _pages(path: str, **options: str) -> Iterator[dict[str, Any]]:
    bucket, prefix = _split(path)
    with _answering_for(path):
        yield from _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **options)


def _files(start: str) -> Iterator[str]:
    """Yields the paths of the objects that begin like this, sorted."""
    bucket, _ = _split(start)
    for page in _pages(start):
        yield from (f"{_SCHEME}{bucket}/{entry['Key']}" for entry in page.get("Contents", []))


def _children(path: str) -> tuple[list[str], list[str]]:
    """Returns the names of the folders and of the files in a folder."""
    start = _split(_folder(path))[1]
    folders: list[str] = []
    files: list[str] = []
    for page in _pages(_folder(path), Delimiter="/"):
        folders += [entry["Prefix"][len(start) : -1] for entry in page.get("CommonPrefixes", [])]
        # An object of the folder's own name is how other programs make an empty folder.
        files += [entry["Key"][len(start) :] for entry in page.get("Contents", []) if entry["Key"] != start]
    return folders, files


def _is_file(path: str) -> bool:
    return next(_files(path), None) == path


def _check_target(path: str, overwrite: bool) -> None:
    if not overwrite and _is_file(path):
        raise OSError(f"{path} is there already")


def _get(path: str) -> bytes:
    bucket, key = _split(path)
    with _answering_for(path):
        content: bytes = _client().get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def _copy(src: str, dst: str) -> None:
    (from_bucket, from_key), (bucket, key) = _split(src), _split(dst)
    with _answering_for(src):
        _client().copy({"Bucket": from_bucket, "Key": from_key}, bucket, key)


def _delete(path: str) -> None:
    bucket, key = _split(path)
    with _answering_for(path):
        _client().delete_object(Bucket=bucket, Key=key)
