"""The photos to classify: files, folders, globs, manifests, URLs, and objects or prefixes of a bucket."""

import contextlib
import glob
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from components.common.errors import UsageError, UserError, storage_errors
from components.contracts.quarantine import Reason
from components.photos.folder import is_hidden
from components.photos.formats import ACCEPTED_SUFFIXES
from components.photos.manifest import is_manifest, photos_named
from components.photos.photo_set import UnusedFile, describe_unused
from components.storage.objects import check_scheme, find_objects, glob_objects, is_remote, list_objects
from pipeline.prediction.photo_inputs import is_url

_EXPECTED: Final = "expected a folder, a glob, a .csv or .jsonl that names photos, or a gs:// or s3:// prefix"


def absolute(source: str) -> str:
    """Returns the input as an absolute path or a URI, without a trailing slash."""
    return source.rstrip("/") if is_remote(source) else str(Path(source).expanduser().absolute())


def check_local(source: str) -> None:
    """Raises UsageError for an input on this machine that does not exist; `source` is from `absolute`."""
    if is_remote(source) or os.path.lexists(source):
        return
    if not glob.has_magic(source):
        raise UsageError(f"no photos at {source!r}: the path does not exist; {_EXPECTED}")
    if next(glob.iglob(source, recursive=True), None) is None:  # noqa: PTH207
        raise UsageError(f"no photos at {source!r}: nothing matches; {_EXPECTED}")


class NamedPhotos(NamedTuple):
    """The photos that a user named."""

    photos: list[str]  # paths and URIs
    left_out: list[UnusedFile]
    missing: list[str]  # of `photos`


def list_photos(sources: Iterable[str]) -> NamedPhotos:
    """Replaces folders, globs, manifests and prefixes of buckets by their photos; a single file is always a photo.

    Raises UsageError if one of them has no photos.
    """
    found = NamedPhotos([], [], [])
    single = []
    for source in sources:
        path = source if is_remote(source) else os.path.expanduser(source)  # noqa: PTH111  (as the user wrote it)
        if is_url(path):
            found.photos.append(path)
        elif _is_single(path):
            single.append(path)
            found.photos.append(path)
        else:
            left_out: list[UnusedFile] = []
            photos = list(list_input(path.rstrip("/") or path, left_out.append))
            if not photos:
                raise UsageError(f"no photos at {source!r}" + (f": {describe_unused(left_out)}" if left_out else ""))
            found.photos.extend(photos)
            found.left_out.extend(left_out)
    in_buckets = {path for path in single if is_remote(path)}
    there = in_buckets
    with contextlib.suppress(OSError):  # Whether one may read does not depend on whether one may list.
        there = set(find_objects(in_buckets))
    found.missing.extend(p for p in single if not (p in there if p in in_buckets else os.path.exists(p)))  # noqa: PTH110
    return found


def _is_single(path: str) -> bool:
    """Tells whether a path or URI names one photo, which may be missing."""
    if is_remote(path):
        check_scheme(path)
        return PurePosixPath(path).suffix.lower() in ACCEPTED_SUFFIXES and not glob.has_magic(path)
    if os.path.lexists(path):
        return not os.path.isdir(path) and not is_manifest(path)  # noqa: PTH112
    return not glob.has_magic(path)


def list_input(source: str, leave_out: Callable[[UnusedFile], None]) -> Iterator[str]:
    """Yields the photos of a folder, glob, manifest, prefix or file as paths or URIs, always in the same order.

    `leave_out` is called with every file that is not a photo by its name; a single file and all files in a manifest
    count as photos. Raises UserError for an unreadable bucket or manifest.
    """
    if is_manifest(source):
        if not is_remote(source) and not Path(source).is_file():
            raise UserError(f"no manifest at {source!r}: {_EXPECTED}")
        yield from photos_named(source)
        return
    for folder, file in _in_bucket(source) if is_remote(source) else _on_this_machine(source):
        path = f"{folder}/{file}" if folder else file
        if folder and any(map(is_hidden, file.split("/"))):
            leave_out(UnusedFile(path, Reason.HIDDEN))
        elif path.endswith("/"):
            leave_out(UnusedFile(path, Reason.NO_REGULAR_FILE))
        elif path == source or PurePosixPath(file).suffix.lower() in ACCEPTED_SUFFIXES:
            yield path
        else:
            leave_out(UnusedFile(path, Reason.UNSUPPORTED_SUFFIX))


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
            links = [f"{name}/" for name in folders if os.path.islink(f"{parent}/{name}")]  # noqa: PTH114
            yield from ((source, file if below == "." else f"{below}/{file}") for file in sorted(files) + links)
    elif os.path.isfile(source):  # noqa: PTH113
        yield "", source
    else:
        for path in sorted(glob.glob(source, recursive=True)):  # noqa: PTH207
            if not os.path.isdir(path):  # noqa: PTH112
                yield "", path
            elif "**" not in source:  # As if the shell had replaced the pattern.
                yield from _on_this_machine(path)


def _refuse(error: OSError) -> None:
    raise UserError(f"cannot read {error.filename!r}: {error.strerror}") from error
