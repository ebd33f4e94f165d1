"""Atomic writes, and the one lock between processes."""

import contextlib
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Replaces a file in one step: readers see the old content or all of the new one, even after a crash or OSError.

    Makes the folder of a path; TFX writes to a URI. Text is written as UTF-8, line ends unchanged.
    """
    content = content.encode() if isinstance(content, str) else content
    if "://" in str(path):
        from tfx.dsl.io import fileio

        # An object appears when it is complete.
        with fileio.open(str(path), "wb") as file:
            file.write(content)
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unique: two processes may write the same file.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Removes what killed processes left in a folder while they wrote to it; no process may be writing."""
    for temporary in folder.glob(".*.tmp"):
        temporary.unlink()


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Holds a lock file, which is made with its folder and stays; the system frees it when the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("Waiting for another run that is filling %s", path.parent)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
