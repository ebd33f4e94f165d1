"""The content digest that identifies a backbone wherever its SavedModel is copied."""

import functools
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path


def content_digest(path: str) -> str:
    """Digests a SavedModel folder.

    Args:
        path: A folder, local or on any filesystem that TFX knows.

    Returns:
        The hexadecimal SHA-256 over the relative names and the bytes of all files in it, in the order of the names.
        Times, owners, empty folders and the folder's own name do not count.
    """
    files = _remote_files(path.rstrip("/")) if "://" in path else _local_files(Path(path))
    digest = hashlib.sha256()
    for name, read in sorted(files, key=lambda file: file[0]):
        digest.update(f"{hashlib.sha256(read()).hexdigest()}  {name}\n".encode())
    return digest.hexdigest()


def _local_files(root: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for file in root.rglob("*"):
        if file.is_file():
            yield file.relative_to(root).as_posix(), file.read_bytes


def _remote_files(root: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    from tfx.dsl.io import fileio

    for folder, _, names in fileio.walk(root):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            yield path[len(root) + 1 :], functools.partial(_read, path)


def _read(path: str) -> bytes:
    from tfx.dsl.io import fileio

    with fileio.open(path, "rb") as file:
        content: bytes = file.read()
    return content
