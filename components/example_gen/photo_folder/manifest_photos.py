"""The photos that a manifest names: where they are, and which of its rows are of no use."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from components.common.contracts import SPLITS, TRAIN_SPLIT
from components.common.contracts.quarantine import Reason
from components.common.errors import UserError
from components.common.storage import remote_files
from components.common.storage.remote_files import is_remote
from components.example_gen.photo_folder.bucket_photos import reading_photos
from components.example_gen.photo_folder.left_out import LeftOutFile, describe_left_out
from components.example_gen.photo_folder.manifest_rows import Manifest, ManifestRow, read_manifest
from components.example_gen.photo_folder.photo_set import PhotoFile, PhotoSet, find_class_names, fingerprint_of
from components.example_gen.photo_folder.split_layout import describe_missing_splits


def scan_manifest(location: str, source: str) -> PhotoSet:
    """Finds the photos of a manifest.

    Args:
        location: The manifest's path on this machine, or its URI. Relative paths in it are relative to it.
        source: The path or URI that the user gave.

    Returns:
        The photo set. Rows without a label, without a photo, or of a photo that another row has, are left out.

    Raises:
        UserError: The manifest cannot be understood, a bucket cannot be read, or there are not two classes of photos.
    """
    manifest = read_manifest(_read(location), source)
    base = location.rpartition("/")[0]
    by_location: dict[str, list[ManifestRow]] = {}
    for row in manifest.rows:
        by_location.setdefault(_location(row.path, base), []).append(row)
    left_out = []
    chosen: dict[str, ManifestRow] = {}
    for place, rows in by_location.items():
        counting, reasons = _choose(rows)
        left_out += reasons
        if counting:
            chosen[place] = counting
    with reading_photos(source):
        versions = remote_files.find_files([place for place in chosen if is_remote(place)])
    files = []
    for place, row in chosen.items():
        version = versions.get(place, "")
        if reason := _defect(place, version):
            left_out.append(LeftOutFile(row.path, reason, row.line))
        else:
            files.append(PhotoFile(row.path, place, row.label, row.split or TRAIN_SPLIT, row.columns, version))
    files.sort(key=lambda photo: photo.path)
    left_out.sort(key=lambda unused: (unused.path, unused.line))
    _check_photos(files, left_out, source)
    name = PurePosixPath(location)
    return PhotoSet(
        source=source,
        name=name.stem,
        root=base,
        files=tuple(files),
        class_names=find_class_names(files, source),
        fingerprint=fingerprint_of(files),
        left_out=tuple(left_out),
        layout=_describe(name.name, manifest, {photo.split for photo in files}),
    )


def photos_named(location: str) -> list[str]:
    """Returns the URIs and local paths that a manifest's rows mean, each once; labels play no part.

    Args:
        location: The manifest's path on this machine, or its URI. Relative paths in it are relative to it.

    Raises:
        UserError: The manifest cannot be read or understood.
    """
    base = location.rpartition("/")[0]
    rows = read_manifest(_read(location), location, needs_label=False).rows
    return list(dict.fromkeys(_location(row.path, base) for row in rows))


def _read(location: str) -> bytes:
    if not is_remote(location):
        return Path(location).read_bytes()
    with reading_photos(location):
        return remote_files.read_file(location)


def _location(path: str, base: str) -> str:
    """Returns the URI or the local path that a row means."""
    path = path.removeprefix("file://")
    if is_remote(path):
        return path
    if is_remote(base) and not path.startswith("/"):
        return f"{base}/{path.removeprefix('./')}"
    local = Path(base) / Path(path).expanduser()
    if "\\" in path and not os.path.lexists(local):
        local = Path(base) / path.replace("\\", "/")
    return os.path.normpath(local)


def _choose(rows: Sequence[ManifestRow]) -> tuple[ManifestRow | None, list[LeftOutFile]]:
    """Returns which of the rows of one photo counts, and why the others do not."""
    labelled = [row for row in rows if row.label]
    reasons = [LeftOutFile(row.path, Reason.NO_LABEL, row.line) for row in rows if not row.label]
    if len({row.label for row in labelled}) > 1:
        return None, reasons + [LeftOutFile(row.path, Reason.LABEL_CONFLICT, row.line) for row in labelled]
    reasons += [LeftOutFile(row.path, Reason.DUPLICATE_PATH, row.line) for row in labelled[1:]]
    return next(iter(labelled), None), reasons


def _defect(place: str, version: str) -> Reason | None:
    """Returns why a photo cannot be used; `version` is that of what a bucket has."""
    if is_remote(place):
        return None if version else Reason.MISSING_FILE
    path = Path(place)
    try:
        if path.is_file():
            return None
        return Reason.NO_REGULAR_FILE if path.exists() else Reason.MISSING_FILE
    except (OSError, ValueError):  # A name that no file can have.
        return Reason.MISSING_FILE


def _check_photos(files: Sequence[PhotoFile], left_out: Sequence[LeftOutFile], source: str) -> None:
    if not files:
        others = "".join(f"; {line}" for line in [describe_left_out(left_out)] if line)
        raise UserError(f"no photos in {source!r}: expected rows of path and label{others}")
    splits = {photo.split for photo in files}
    if TRAIN_SPLIT not in splits:
        raise UserError(f"{source!r} has photos of {', '.join(sorted(splits))} but none of train: please add some")


def _describe(name: str, manifest: Manifest, used: Iterable[str]) -> str:
    columns = ", ".join(f"{role} is {column!r}" for role, column in manifest.roles.items())
    return f"Manifest {name}: {columns}{_describe_splits(manifest.rows, set(used))}"


def _describe_splits(rows: Sequence[ManifestRow], used: set[str]) -> str:
    if not any(row.split for row in rows):
        return ""
    kept = ", ".join(split for split in SPLITS if split in used)
    unassigned = sum(not row.split for row in rows)
    into_train = f"; rows without one are in train: {unassigned:,}" if unassigned else ""
    return f"; splits are kept: {kept}{into_train}{describe_missing_splits(used)}"
