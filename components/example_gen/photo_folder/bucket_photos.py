"""Photos in a bucket, copied to this machine to be read.

TFX's file operations, and so TensorFlow, are imported once there is something to copy.
"""

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from components.common.errors import UserError, reason_of
from components.common.progress import report_progress

_THREADS: Final = 16
_REPORTS: Final = 20
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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
    from tfx.dsl.io import fileio

    learn_s3()
    folder = _temporary_folder()
    source = uri.rstrip("/")
    target = folder / PurePosixPath(source).name
    with reading_photos(uri):
        files = [""] if fileio.exists(source) and not fileio.isdir(source) else list(files_in_bucket(source))
        copy_all(source, target, files)
    if not files:
        raise UserError(f"no photos at {uri!r}: expected a folder of class-named folders, or a .tgz or .zip of one")
    return target


def fetch_files(uris: Sequence[str]) -> dict[str, Path]:
    """Copies single files from buckets.

    Args:
        uris: gs:// or s3:// URIs, or others that TFX reads.

    Returns:
        The copies of those that are there; they go when this process ends.

    Raises:
        UserError: One cannot be read.
    """
    if not uris:
        return {}
    from tfx.dsl.io import fileio

    learn_s3()
    folder = _temporary_folder()

    def copy(numbered: tuple[int, str]) -> bool:
        number, uri = numbered
        with reading_photos(uri):
            try:
                fileio.copy(uri, str(folder / str(number)), overwrite=True)
            except fileio.NotFoundError:
                return False
        return True

    copied = _report_each(copy, list(enumerate(uris)))
    return {uri: folder / str(number) for number, (uri, there) in enumerate(zip(uris, copied, strict=True)) if there}


def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="photos-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def learn_s3() -> None:
    """Lets TFX read s3:// by this project's file operations, where boto3 is installed."""
    from components.common.storage import s3_filesystem

    with contextlib.suppress(ImportError):
        s3_filesystem.register()


@contextlib.contextmanager
def reading_photos(uri: str) -> Iterator[None]:
    """Makes what a bucket answers one line.

    Args:
        uri: What is read inside.

    Raises:
        UserError: It cannot be read.
    """
    import tensorflow as tf

    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"cannot read photos from {uri!r}: {reason_of(error)}") from error


def files_in_bucket(source: str) -> Iterator[str]:
    """Yields the paths of all files below a folder, relative to it.

    Args:
        source: The folder's URI, without a slash at its end.
    """
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

    _report_each(copy, files)


def _report_each(copy: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Copies files in threads."""
    results = []
    step = max(1, len(items) // _REPORTS)
    with ThreadPoolExecutor(_THREADS) as threads:
        for result in threads.map(copy, items):
            results.append(result)
            if len(results) % step == 0 or len(results) == len(items):
                report_progress("Fetching photos", len(results), len(items))
    return results
