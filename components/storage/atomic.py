"""Text files that are there whole or not at all: records of caches and of trainings, reports."""

import contextlib
import fcntl
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Writes a file through a temporary one: whoever reads it, even after a crash, finds all of it or what was there.

    Args:
        path: In a folder that exists.
        text: Its content; written in UTF-8, its line ends as they are.

    Raises:
        OSError: It cannot be written; what was there still is.
    """
    # Unique: two processes may write the same file.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


logger = logging.getLogger(__name__)


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file, which the system frees even when the process is killed.

    Args:
        path: The lock file. It and its folder are created; it stays, for removing it would let two processes lock
            different files of the same name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock_file:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("Waiting for another run that is filling %s", path.parent)
            fcntl.flock(lock_file, fcntl.LOCK_EX)
        yield
