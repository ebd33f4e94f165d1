"""One push at a time into a serving folder, on storage that has no locks."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from typing import Final

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from components.common.contracts.serving_folder import PUSHING_PREFIX
from components.common.errors import UserError
from components.common.storage.serving_folder import names_in, path_in

# A push takes seconds once its copy is complete: an older mark was left by one that was killed.
_STALE_SECONDS: Final = 900


@contextlib.contextmanager
def push_turn(folder: str) -> Iterator[None]:
    """Marks a push in the folder while it lasts.

    Each push writes its own mark before it looks for others: of two at once, at least one sees the other, and gives up.

    Args:
        folder: The serving folder.

    Raises:
        UserError: Another push is going on.
    """
    own = f"{PUSHING_PREFIX}{int(time.time())}-{uuid.uuid4().hex}"
    io_utils.write_string_file(path_in(folder, own), "A model is being pushed.\n")
    try:
        others = [name for name in names_in(folder) if name.startswith(PUSHING_PREFIX) and name != own]
        for name in others:
            seconds = int(time.time() - int(name.removeprefix(PUSHING_PREFIX).partition("-")[0]))
            if seconds < _STALE_SECONDS:
                raise UserError(
                    f"another run is pushing to {folder}, since {seconds} s (its mark is {name}): nothing was pushed; "
                    "run again"
                )
        yield
    finally:
        fileio.remove(path_in(folder, own))
