"""A lock between processes, for caches that several runs may fill at once.

Called by `components.example_gen.sources` and `components.example_gen.preparation`.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file, which the system frees even when the process is killed.

    Args:
        path: The lock file. It and its folder are created; it stays, for removing it would let two processes lock
            different files of the same name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        yield
