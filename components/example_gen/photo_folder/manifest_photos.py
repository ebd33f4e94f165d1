"""The photos that a manifest names: where they are, and which of its rows are of no use."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from components.common.contracts import SPLITS, TRAIN_SPLIT
from components.common.contracts.quarantine import Reason
from components.common.errors import UserError
from components.example_gen.photo_folder.bucket_photos import fetch_files, is_in_bucket
from components.example_gen.photo_folder.left_out import LeftOutFile, describe_left_out
from components.example_gen.photo_folder.manifest_rows import Manifest, ManifestRow, read_manifest
from components.example_gen.photo_folder.photo_set import PhotoFile, PhotoSet, find_class_names, fingerprint_of
from components.example_gen.photo_folder.split_layout import describe_missing_splits


def scan_manifest(file: Path, source: str) -> PhotoSet:
    """Finds the photos of a manifest.

    Args:
        file: The manifest on this machine.
        source: The path or URI that the user gave; relative paths are relative to it.

    Returns:
        The photo set. Rows without a label, without a photo, or of a photo that another row has, are left out.

    Raises:
        UserError: The manifest cannot be understood, a bucket cannot be read, or there are not two classes of photos.
    """
    manifest = read_manifest(file, source)
    base = _base(file, source)
    by_location: dict[str, list[ManifestRow]] = {}
    for row in manifest.rows:
        by_location.setdefault(_location(row.path, base), []).append(row)
    left_out = []
    chosen: dict[str, ManifestRow] = {}
    for location, rows in by_location.items():
        counting, reasons = _choose(rows)
        left_out += reasons
        if counting:
            chosen[location] = counting
    fetched = fetch_files([location for location in chosen if is_in_bucket(location)])
    files = []
    for location, row in chosen.items():
        path = fetched.get(location) if is_in_bucket(location) else Path(location)
        if reason := _defect(path):
            left_out.append(LeftOutFile(row.path, reason, row.line))
        elif path:
            files.append(PhotoFile(row.path, path, row.label, row.split or TRAIN_SPLIT, row.columns))
    files.sort(key=lambda photo: photo.path)
    left_out.sort(key=lambda unused: (unused.path, unused.line))
    _check_photos(files, left_out, source)
    return PhotoSet(
        source=source,
        name=file.stem,
        root=file.parent,
        files=tuple(files),
        class_names=find_class_names(files, source),
        fingerprint=fingerprint_of(files),
        left_out=tuple(left_out),
        layout=_describe(file.name, manifest, {photo.split for photo in files}),
    )


def photos_named(file: Path, source: str) -> list[str]:
    """Returns the URIs and local paths that a manifest's rows mean, each once; labels play no part.

    Args:
        file: The manifest on this machine.
        source: The path or URI that the user gave; relative paths are relative to it.

    Raises:
        UserError: The manifest cannot be understood.
    """
    base = _base(file, source)
    rows = read_manifest(file, source, needs_label=False).rows
    return list(dict.fromkeys(_location(row.path, base) for row in rows))


def _base(file: Path, source: str) -> str:
    return source.rpartition("/")[0] if is_in_bucket(source) else str(file.parent)


def _location(path: str, base: str) -> str:
    """Returns the URI or the local path that a row means."""
    path = path.removeprefix("file://")
    if is_in_bucket(path):
        return path
    if is_in_bucket(base) and not path.startswith("/"):
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


def _defect(path: Path | None) -> Reason | None:
    try:
        if path and path.is_file():
            return None
        return Reason.NO_REGULAR_FILE if path and path.exists() else Reason.MISSING_FILE
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
