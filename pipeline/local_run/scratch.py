"""A run's own folder for temporary files.

TensorFlow, Beam and TFDS put files into the system's temporary folder, and a killed process leaves them there for good:
in the output folder they are found again.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def scratch_folder(output: str) -> Iterator[None]:
    """Sends temporary files of this process and its children to a folder that is removed when the process ends.

    Args:
        output: The run's output folder, held by this run. What killed runs left in it is removed.
    """
    root = Path(output) / ".tmp"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    folder = tempfile.mkdtemp(dir=root)
    # Handlers run in reverse order: those of the libraries that are yet to be imported still find their files.
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
