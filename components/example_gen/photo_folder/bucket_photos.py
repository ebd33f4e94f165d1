"""Photos in a bucket, copied to this machine to be read.

TFX's file operations, and so TensorFlow, are imported once there is something to copy.
"""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Final

from components.common.errors import UserError
from components.common.progress import report_progress

_THREADS: Final = 16
_REPORTS: Final = 20


def is_in_bucket(path: str) -> bool:
    """Tells whether a path is the URI of something remote, such as gs://BUCKET/photos."""
    return "://" in path


def fetch_photos(uri: str) -> Path:
    """Copies a folder or an archive from a bucket.

    Args:
        uri: A gs:// or s3:// URI, or another one that TFX reads.

    Returns:
        The copy, of the same name, which goes when this process ends.

    Raises:
        UserError: Nothing is there, or it cannot be read.
    """
    import tensorflow as tf
    from tfx.dsl.io import fileio

    folder = Path(tempfile.mkdtemp(prefix="photos-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = uri.rstrip("/")
    target = folder / PurePosixPath(source).name
    try:
        files = [""] if fileio.exists(source) and not fileio.isdir(source) else list(_files_below(source))
        copy_all(source, target, files)
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(getattr(error, "message", error)).split())[:300]
        raise UserError(f"cannot read photos from {uri!r}: {reason}") from error
    if not files:
        raise UserError(f"no photos at {uri!r}: expected a folder of class-named folders, or a .tgz or .zip of one")
    return target


def _files_below(source: str) -> Iterator[str]:
    """Yields the paths of all files relative to `source`."""
    from tfx.dsl.io import fileio

    for parent, _, names in fileio.walk(source):
        below = parent.rstrip("/")[len(source) :].strip("/")
        yield from (f"{below}/{name}".lstrip("/") for name in names)


def copy_all(source: str, target: Path, files: list[str]) -> None:
    """Copies files from a bucket.

    Args:
        source: The URI that they are below.
        target: The folder that they come below.
        files: Their paths relative to both; an empty one is `source` itself.

    Raises:
        UserError: A file would be written outside of the folder.
    """
    from tfx.dsl.io import fileio

    def copy(file: str) -> None:
        # A key may be anything: nothing is written outside of the folder.
        path = (target / file).resolve()
        if not path.is_relative_to(target.resolve()):
            raise UserError(f"the bucket holds {source}/{file}, whose name leads out of its folder: please rename it")
        path.parent.mkdir(parents=True, exist_ok=True)
        fileio.copy(f"{source}/{file}".rstrip("/"), str(path), overwrite=True)

    step = max(1, len(files) // _REPORTS)
    with ThreadPoolExecutor(_THREADS) as threads:
        for index, _ in enumerate(threads.map(copy, files), start=1):
            if index % step == 0 or index == len(files):
                report_progress("Fetching photos", index, len(files))
