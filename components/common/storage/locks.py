"""A lock between processes, for caches that several runs may fill at once."""

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path

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
