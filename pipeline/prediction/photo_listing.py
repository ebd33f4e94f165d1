"""The input of a batch: a folder, a glob, a manifest, or a prefix of a bucket."""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from components.common.errors import UserError, storage_errors
from components.contracts.quarantine import Reason
from components.photos.folder import is_hidden
from components.photos.formats import NATIVE_SUFFIXES
from components.photos.manifest import is_manifest, photos_named
from components.photos.photo_set import UnusedFile, describe_unused
from components.storage.objects import find_objects, glob_objects, is_remote, list_objects

_EXPECTED: Final = "expected a folder, a glob, a .csv or .jsonl that names photos, or a gs:// or s3:// prefix"


def absolute(source: str) -> str:
    """Returns the input as an absolute path or a URI, without a trailing slash."""
    return source.rstrip("/") if is_remote(source) else str(Path(source).expanduser().absolute())


def check_local(source: str) -> None:
    """Raises UserError for an input on this machine that does not exist; `source` is from `absolute`."""
    if not is_remote(source) and not os.path.lexists(source) and not glob.has_magic(source):
        raise UserError(f"no photos at {source!r}: the path does not exist; {_EXPECTED}")


def list_input(source: str, leave_out: Callable[[str], None]) -> Iterator[str]:
    """Yields the photos of an input from `absolute` as absolute paths or URIs, always in the same order.

    `leave_out` is called with every file that is not a photo by its name; all files in a manifest count as photos.
    Raises UserError for an unreadable bucket or manifest.
    """
    if is_manifest(source):
        if not is_remote(source) and not Path(source).is_file():
            raise UserError(f"no manifest at {source!r}: {_EXPECTED}")
        yield from photos_named(source)
        return
    for folder, file in _in_bucket(source) if is_remote(source) else _on_this_machine(source):
        path = f"{folder}/{file}" if folder else file
        is_photo = PurePosixPath(file).suffix.lower() in NATIVE_SUFFIXES
        if is_photo and not any(is_hidden(part) for part in file.split("/") if folder):
            yield path
        else:
            leave_out(path)


def describe_not_used(files: Sequence[str]) -> str:
    """Returns a summary of the unused files in one line; empty without any."""
    reasons = {True: Reason.HIDDEN, False: Reason.UNSUPPORTED_SUFFIX}
    return describe_unused([UnusedFile(file, reasons[is_hidden(PurePosixPath(file).name)]) for file in files])


def _in_bucket(source: str) -> Iterator[tuple[str, str]]:
    """Yields folder and relative path of the files below a prefix, or an empty folder and the matches of a pattern."""
    with storage_errors(f"cannot read photos from {source!r}"):
        if glob.has_magic(source):
            yield from (("", file) for file in glob_objects(source))
            return
        is_empty = True
        for file, _ in list_objects(source):
            is_empty = False
            yield source, file
        if is_empty and find_objects([source]):
            yield "", source


def _on_this_machine(source: str) -> Iterator[tuple[str, str]]:
    if os.path.isdir(source):  # noqa: PTH112  (pathlib is slower for millions of photos)
        for parent, folders, files in os.walk(source, onerror=_refuse):
            folders.sort()
            below = os.path.relpath(parent, source)
            yield from ((source, file if below == "." else f"{below}/{file}") for file in sorted(files))
    elif os.path.isfile(source):  # noqa: PTH113
        yield "", source
    else:
        yield from (("", file) for file in sorted(glob.glob(source, recursive=True)) if os.path.isfile(file))  # noqa: PTH113, PTH207


def _refuse(error: OSError) -> None:
    raise UserError(f"cannot read {error.filename!r}: {error.strerror}") from error
