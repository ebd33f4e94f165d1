"""TFX's file operations on the buckets that TensorFlow does not know, such as s3://."""

import io
from collections.abc import Callable, Iterable
from typing import IO, Any, ClassVar

from tfx.dsl.io import filesystem, filesystem_registry

from components.storage import objects


def register_buckets() -> None:
    """Lets TFX read and write s3:// and the like; a second call changes nothing."""
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(BucketFilesystem, priority=-1)


class BucketFilesystem(filesystem.Filesystem):
    """Objects as files; a folder exists as long as something is in it."""

    SUPPORTED_SCHEMES: ClassVar = [f"{name}://" for name, scheme in objects.SCHEMES.items() if scheme.through_tfx]

    @staticmethod
    def open(name: str, mode: str = "r") -> IO[Any]:
        if mode.strip("b") == "r":
            try:
                content: IO[Any] = io.BytesIO(objects.read_object(name))
            except FileNotFoundError as error:
                raise filesystem.NotFoundError(str(error)) from error
        elif mode.strip("b") == "w":
            content = _Upload(name)
        else:
            raise NotImplementedError(f"mode {mode!r} on {name}: an object is read or written as a whole")
        return content if "b" in mode else io.TextIOWrapper(content, encoding="utf-8")

    @staticmethod
    def copy(src: str, dst: str, overwrite: bool = False) -> None:
        _check_target(dst, overwrite)
        objects.copy_object(src, dst)

    @staticmethod
    def exists(path: str) -> bool:
        return objects.is_object(path) or objects.is_folder(path)

    @staticmethod
    def glob(pattern: str) -> list[str]:
        return objects.glob_objects(pattern)

    @staticmethod
    def isdir(path: str) -> bool:
        return objects.is_folder(path)

    @staticmethod
    def listdir(path: str) -> list[str]:
        folders, files = objects.list_folder(path)
        if not folders and not files:
            raise filesystem.NotFoundError(path)
        return folders + files

    @staticmethod
    def makedirs(path: str) -> None:
        """Does nothing: writing an object makes its folders."""

    mkdir = makedirs

    @staticmethod
    def remove(path: str) -> None:
        if not objects.is_object(path):
            raise filesystem.NotFoundError(path)
        objects.delete_object(path)

    @staticmethod
    def rename(src: str, dst: str, overwrite: bool = False) -> None:
        """Renames a file or a folder, file by file: object stores know no other way.

        What lies deepest comes first: a SavedModel's variables exist before its graph does.
        """
        _check_target(dst, overwrite)
        names = [""] if objects.is_object(src) else [f"/{name}" for name, _ in objects.list_objects(src)]
        if not names:
            raise filesystem.NotFoundError(src)
        for name in sorted(names, key=lambda name: (-name.count("/"), name)):
            objects.copy_object(src + name, dst + name)
        for name in names:
            objects.delete_object(src + name)

    @staticmethod
    def rmtree(path: str) -> None:
        for name, _ in list(objects.list_objects(path)):
            objects.delete_object(f"{path}/{name}")

    @staticmethod
    def walk(
        top: str, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[str, list[str], list[str]]]:
        here = (top, *objects.list_folder(top))
        if topdown:
            yield here
        for folder in here[1]:
            yield from BucketFilesystem.walk(f"{top.rstrip('/')}/{folder}", topdown, onerror)
        if not topdown:
            yield here


class _Upload(io.BytesIO):
    """A file that becomes an object when it is closed."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            objects.write_object(self._path, self.getvalue())
        super().close()


def _check_target(path: str, overwrite: bool) -> None:
    if not overwrite and objects.is_object(path):
        raise OSError(f"{path} exists already")
