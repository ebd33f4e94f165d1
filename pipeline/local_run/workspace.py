"""The output folder while a run works in it: the lock that keeps other runs out, and its temporary files."""

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from components.common.errors import UserError
from components.contracts.output_folder import LOCK_FILE


@contextlib.contextmanager
def locked_output(output: str) -> Iterator[None]:
    """Keeps other runs out of an output folder; the operating system frees the lock when the process dies.

    Raises UserError if another run holds the folder, or it cannot be written to.
    """
    path = Path(output) / LOCK_FILE
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"another run (process {path.read_text() or 'unknown'}) is using {output}: wait for it to end, or choose "
            "another --output"
        ) from error
    except OSError as error:
        raise UserError(f"cannot lock --output {output}: {error.strerror}; choose another folder") from error
    try:
        # Only for the message above; a full disk does not stop the run here.
        with contextlib.suppress(OSError):
            path.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def temporary_folder(output: str) -> Iterator[None]:
    """Sends temporary files of this process and its children to the output folder, until the process ends.

    TensorFlow, Beam and TFDS use the system's temporary folder, where a killed process leaves them for ever. Here the
    next run, which holds the output folder, removes them.
    """
    root = Path(output) / ".tmp"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    folder = tempfile.mkdtemp(dir=root)
    # Handlers run in reverse order: those of libraries that are imported later still find their files.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    before, tempfile.tempdir = tempfile.tempdir, folder
    variable = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        tempfile.tempdir = before
        os.environ.pop("TMPDIR")
        if variable is not None:
            os.environ["TMPDIR"] = variable
