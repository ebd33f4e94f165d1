"""One run at a time on an output folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from components.common.errors import UserError
from components.contracts.output_folder import LOCK_FILE


@contextlib.contextmanager
def exclusive(output: str) -> Iterator[None]:
    """Holds an output folder; the operating system lets go of it when the process dies.

    Args:
        output: A local folder that exists.

    Raises:
        UserError: Another run holds it, or it cannot be written to.
    """
    with _open(output) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise UserError(
                f"another run (process {lock.read() or 'unknown'}) is using {output}: wait for it to end, or choose "
                "another --output"
            ) from error
        except OSError as error:
            raise UserError(f"cannot lock --output {output}: {error.strerror}; choose another folder") from error
        # Only for the message above, which can do without on a full disk.
        with contextlib.suppress(OSError):
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        yield


def _open(output: str) -> TextIO:
    try:
        return (Path(output) / LOCK_FILE).open("a+")
    except OSError as error:
        raise UserError(f"cannot write to --output {output}: {error.strerror}; choose another folder") from error
