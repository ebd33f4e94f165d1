"""TFX's file operations on s3://: TensorFlow has no S3 of its own any more."""

import fnmatch
import io
from collections.abc import Callable, Iterable
from typing import IO, Any, ClassVar

from tfx.dsl.io import filesystem, filesystem_registry

from components.storage import s3_objects


def register() -> None:
    """Makes TFX use this for s3:// instead of TensorFlow.

    Raises:
        ImportError: boto3 is not installed.
    """
    import boto3  # noqa: F401

    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(S3Filesystem, priority=-1)


class S3Filesystem(filesystem.Filesystem):
    """Objects as files; a folder is there as long as something is in it."""

    SUPPORTED_SCHEMES: ClassVar = [s3_objects.SCHEME]

    @staticmethod
    def open(name: str, mode: str = "r") -> IO[Any]:
        if mode.strip("b") == "r":
            content: IO[Any] = io.BytesIO(s3_objects.get(name))
        elif mode.strip("b") == "w":
            content = _Upload(name)
        else:
            raise NotImplementedError(f"mode {mode!r} on {name}: an object is read or written as a whole")
        return content if "b" in mode else io.TextIOWrapper(content, encoding="utf-8")

    @staticmethod
    def copy(src: str, dst: str, overwrite: bool = False) -> None:
        _check_target(dst, overwrite)
        s3_objects.copy(src, dst)

    @staticmethod
    def exists(path: str) -> bool:
        return s3_objects.is_file(path) or S3Filesystem.isdir(path)

    @staticmethod
    def glob(pattern: str) -> list[str]:
        start = pattern[: min((pattern.index(sign) for sign in "*?[" if sign in pattern), default=len(pattern))]
        alike = (path for path in s3_objects.files_from(start) if fnmatch.fnmatchcase(path, pattern))
        # A star stands for what is within one folder.
        return [path for path in alike if path.count("/") == pattern.count("/")]

    @staticmethod
    def isdir(path: str) -> bool:
        return next(s3_objects.files_from(s3_objects.as_folder(path)), None) is not None

    @staticmethod
    def listdir(path: str) -> list[str]:
        folders, files = s3_objects.children(path)
        if not folders and not files:
            raise filesystem.NotFoundError(path)
        return folders + files

    @staticmethod
    def makedirs(path: str) -> None:
        """Does nothing: writing an object makes its folders."""

    mkdir = makedirs

    @staticmethod
    def remove(path: str) -> None:
        if not s3_objects.is_file(path):
            raise filesystem.NotFoundError(path)
        s3_objects.delete(path)

    @staticmethod
    def rename(src: str, dst: str, overwrite: bool = False) -> None:
        """Renames a file or a folder, file by file: S3 knows no other way.

        What lies deepest comes first: a SavedModel's variables are there before its graph is.
        """
        _check_target(dst, overwrite)
        moved = [src] if s3_objects.is_file(src) else list(s3_objects.files_from(s3_objects.as_folder(src)))
        if not moved:
            raise filesystem.NotFoundError(src)
        for path in sorted(moved, key=lambda path: (-path.count("/"), path)):
            s3_objects.copy(path, dst + path[len(src) :])
        for path in moved:
            s3_objects.delete(path)

    @staticmethod
    def rmtree(path: str) -> None:
        for file in list(s3_objects.files_from(s3_objects.as_folder(path))):
            s3_objects.delete(file)

    @staticmethod
    def walk(
        top: str, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[str, list[str], list[str]]]:
        here = (top, *s3_objects.children(top))
        if topdown:
            yield here
        for folder in here[1]:
            yield from S3Filesystem.walk(s3_objects.as_folder(top) + folder, topdown, onerror)
        if not topdown:
            yield here


class _Upload(io.BytesIO):
    """A file that becomes an object when it is closed."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            s3_objects.put(self._path, self.getvalue())
        super().close()


def _check_target(path: str, overwrite: bool) -> None:
    if not overwrite and s3_objects.is_file(path):
        raise OSError(f"{path} is there already")
