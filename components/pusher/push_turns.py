"""One push at a time into a serving folder, on storage that has no locks."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from typing import Final

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from components.common.errors import UserError
from components.contracts.serving_folder import PUSHING_PREFIX, names_in, path_in

# A push takes seconds once its copy is complete: an older mark was left by one that was killed.
_STALE_SECONDS: Final = 900
_KEY_DIGITS: Final = 16


@contextlib.contextmanager
def push_turn(folder: str, push: str) -> Iterator[None]:
    """Marks a push in the folder while it lasts.

    Each push writes its own mark before it looks for others: of two at once, at least one sees the other, and gives up.

    Args:
        folder: The serving folder.
        push: What tells this push from others, but not from its retry: the mark of a killed try is no other's.

    Raises:
        UserError: Another push is going on.
    """
    key = hashlib.sha256(push.encode()).hexdigest()[:_KEY_DIGITS]
    mark = f"{PUSHING_PREFIX}{int(time.time())}-{key}"
    io_utils.write_string_file(path_in(folder, mark), "A model is being pushed.\n")
    try:
        for name in _marks(folder):
            seconds = int(time.time() - int(name.removeprefix(PUSHING_PREFIX).partition("-")[0]))
            if not name.endswith(key) and seconds < _STALE_SECONDS:
                raise UserError(
                    f"another run is pushing to {folder}, since {seconds} s (its mark is {name}): nothing was pushed; "
                    "run again"
                )
        yield
    finally:
        for name in _marks(folder):
            if name.endswith(key):
                fileio.remove(path_in(folder, name))


def _marks(folder: str) -> list[str]:
    return [name for name in names_in(folder) if name.startswith(PUSHING_PREFIX)]
