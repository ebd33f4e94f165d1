"""Manifests of photos: CSV or JSON Lines with path, label and, optionally, split, under the names that tools use.

A header, or a key of JSON, may have any of the names below, in any case and punctuation; of nested JSON the last part
counts (`classificationAnnotation.displayName`). CSV without a header is `[split,]path,label`, as Vertex AI imports it.
"""

import contextlib
import csv
import functools
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from components.common.errors import UserError, storage_errors
from components.contracts import SPLITS, TRAIN_SPLIT
from components.contracts.quarantine import Reason
from components.photos.formats import ACCEPTED_SUFFIXES
from components.photos.photo_set import PhotoFile, PhotoSet, UnusedFile, describe_unused, make_photo_set
from components.photos.splits import describe_missing_splits, split_of_name
from components.storage.objects import find_objects, is_remote, read_object

_CSV_SUFFIXES: Final = (".csv", ".tsv")
_SUFFIXES: Final = (*_CSV_SUFFIXES, ".jsonl", ".ndjson", ".manifest")
_PATH, _LABEL, _SPLIT = "path", "label", "split"
# In the order of preference: of a class's name and its number, the name counts.
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    _PATH: (
        "path", "filepath", "filename", "file", "imagepath", "imagefile", "imagename", "imagegcsuri", "gcsuri",
        "imageuri", "uri", "imageurl", "url", "sourceref", "photo", "image",
    ),
    _LABEL: (
        "classname", "labelname", "categoryname", "displayname", "label", "class", "category", "choice",
        "groundtruth", "tag", "species", "target",
    ),
    _SPLIT: ("split", "mluse", "subset", "set", "partition", "usage"),
}  # fmt: skip
_NO_SPLIT: Final = frozenset(("", "unassigned", "default"))
_Row = tuple[int, dict[str, str]]  # (line from 1, cells by column)


def is_manifest(path: str) -> bool:
    """Tells by its name whether a file is a manifest."""
    return PurePosixPath(path).suffix.lower() in _SUFFIXES


@dataclass(frozen=True)
class _ManifestRow:
    """One row; its label and split may be empty."""

    line: int  # from 1
    path: str  # or URI
    label: str
    split: str
    columns: Mapping[str, str]  # the whole row


@dataclass(frozen=True)
class _Manifest:
    """All rows, and the columns of path, label and split."""

    rows: Sequence[_ManifestRow]
    roles: Mapping[str, str]


def _read_manifest(location: str, source: str, needs_label: bool = True) -> _Manifest:
    """Reads the manifest at a local path or URI; the suffix of `source`, as the user wrote it, tells the format."""
    if is_remote(location):
        with storage_errors(f"cannot read photos from {location!r}"):
            content = read_object(location)
    else:
        content = Path(location).read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"line {line} of {source!r} is not UTF-8: save it as UTF-8") from None
    read = _read_csv if PurePosixPath(source).suffix.lower() in _CSV_SUFFIXES else _read_json_lines
    rows: list[_ManifestRow] = []
    roles: dict[str, str] = {}
    columns: dict[str, None] = {}
    for line, cells in read(text, source):
        found = {role: column for role in _NAMES if (column := _column(role, cells))}
        roles = {**found, **roles}
        columns |= dict.fromkeys(cells)
        path, label, split = (cells[found[role]].strip() if role in found else "" for role in _NAMES)
        found_split = "" if split.lower() in _NO_SPLIT else split_of_name(split)
        if found_split is None:
            raise UserError(f"line {line} of {source!r} has the split {split!r}: expected train, validation or test")
        rows.append(_ManifestRow(line, path, label, found_split, cells))
    for role in (_PATH, _LABEL) if needs_label else (_PATH,):
        if role not in roles:
            raise UserError(
                f"{source!r} has no column for the photo's {role}: found {', '.join(columns) or 'none'}; expected one "
                f"called {', '.join(sorted(_NAMES[role]))}"
            )
    if empty := next((row for row in rows if not row.path), None):
        raise UserError(f"line {empty.line} of {source!r} has no {roles[_PATH]}: a path or URI is expected there")
    return _Manifest(rows, roles)


def _column(role: str, cells: Mapping[str, str]) -> str:
    """Returns the column of a role, preferably one with a value; or an empty name."""
    matching = _columns(role, tuple(cells))
    return next((name for name in matching if cells[name].strip()), next(iter(matching), ""))


@functools.lru_cache(maxsize=1024)
def _columns(role: str, names: tuple[str, ...]) -> list[str]:
    by_name = {re.sub(r"[^a-z0-9]", "", re.split(r"[./]", name)[-1].lower()): name for name in reversed(names)}
    return [by_name[alias] for alias in _NAMES[role] if alias in by_name]


def _read_csv(text: str, source: str) -> Iterator[_Row]:
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [] if _starts_with_photo(cells) else [cell.strip() for cell in cells]
                if twice := next((name for name in header if name and header.count(name) > 1), ""):
                    raise UserError(f"{source!r} has two columns called {twice!r}: rename one")
                if header:
                    continue
            if not header:
                yield line, _without_header(cells, line, source)
            elif len(cells) > len(header):
                raise UserError(f"line {line} of {source!r} has {len(cells)} fields, its header {len(header)}")
            else:
                yield line, dict(zip(header, [*cells, *[""] * (len(header) - len(cells))], strict=True))
    except csv.Error as error:
        raise UserError(f"line {reader.line_num} of {source!r} is not CSV: {error}") from None


def _starts_with_photo(cells: Sequence[str]) -> bool:
    """Tells whether the first row is a photo rather than a header."""
    return any("://" in cell or PurePosixPath(cell.strip()).suffix.lower() in ACCEPTED_SUFFIXES for cell in cells[:2])


def _is_split(cell: str) -> bool:
    return cell.strip().lower() in _NO_SPLIT or split_of_name(cell) is not None


def _without_header(cells: Sequence[str], line: int, source: str) -> dict[str, str]:
    has_split = len(cells) > 1 and _is_split(cells[0])
    split, path, *labels = cells if has_split else ["", *cells]
    labels = [label for label in labels if label.strip()]
    if len(labels) > 1:
        raise UserError(f"line {line} of {source!r} has {len(labels)} labels: expected [split,]path,label")
    return {_PATH: path, _LABEL: "".join(labels), _SPLIT: split}


def _read_json_lines(text: str, source: str) -> Iterator[_Row]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"line {line} of {source!r} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f"line {line} of {source!r} is not a JSON object: expected a path and a label by name")
        yield line, dict(_flat(row))


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            yield prefix + name, value if isinstance(value, str) else "" if value is None else json.dumps(value)


def scan_manifest(location: str, source: str) -> PhotoSet:
    """Finds the photos of a manifest at a path on this machine or a URI; `source` is what the user gave.

    Relative paths in it are relative to it. Rows without a label, without a photo, or of a photo that another row has,
    are not used. Raises UserError for an invalid manifest, an unreadable bucket, or fewer than two classes.
    """
    manifest = _read_manifest(location, source)
    base, name = location.rpartition("/")[0], PurePosixPath(location)
    by_place: dict[str, list[_ManifestRow]] = defaultdict(list)
    for row in manifest.rows:
        by_place[_place(row.path, base)].append(row)
    unused: list[UnusedFile] = []
    chosen: dict[str, _ManifestRow] = {}
    for place, rows in by_place.items():
        row_to_use, unused_rows = _choose(rows)
        unused += unused_rows
        if row_to_use:
            chosen[place] = row_to_use
    with storage_errors(f"cannot read photos from {source!r}"):
        versions = find_objects([place for place in chosen if is_remote(place)])
    files = []
    for place, row in chosen.items():
        version = versions.get(place, "")
        if reason := _why_unused(place, version):
            unused.append(UnusedFile(row.path, reason, row.line))
        else:
            files.append(PhotoFile(row.path, place, row.label, row.split or TRAIN_SPLIT, row.columns, version))
    files.sort(key=lambda photo: photo.path)
    unused.sort(key=lambda file: (file.path, file.line))
    if not files:
        others = f"; {describe_unused(unused)}" if unused else ""
        raise UserError(f"no photos in {source!r}: expected rows of path and label{others}")
    splits = {photo.split for photo in files}
    if TRAIN_SPLIT not in splits:
        raise UserError(f"{source!r} has photos of {', '.join(sorted(splits))} but none of train: add some")
    return make_photo_set(source, name.stem, files, unused, _describe_layout(name.name, manifest, splits))


def photos_named(location: str) -> list[str]:
    """Returns the URIs and local paths of a manifest's rows, each once; it needs no labels."""
    base = location.rpartition("/")[0]
    rows = _read_manifest(location, location, needs_label=False).rows
    return list(dict.fromkeys(_place(row.path, base) for row in rows))


def _place(path: str, base: str) -> str:
    """Returns the URI or the local path of a row."""
    path = path.removeprefix("file://")
    if is_remote(path):
        return path
    if is_remote(base) and not path.startswith("/"):
        return f"{base}/{path.removeprefix('./')}"
    local = Path(base) / Path(path).expanduser()
    if "\\" in path and not os.path.lexists(local):
        local = Path(base) / path.replace("\\", "/")
    return os.path.normpath(local)


def _choose(rows: Sequence[_ManifestRow]) -> tuple[_ManifestRow | None, list[UnusedFile]]:
    """Returns the row to use of the rows of one photo, if any, and the others."""
    labelled = [row for row in rows if row.label]
    unused = [UnusedFile(row.path, Reason.NO_LABEL, row.line) for row in rows if not row.label]
    if len({row.label for row in labelled}) > 1:
        return None, unused + [UnusedFile(row.path, Reason.LABEL_CONFLICT, row.line) for row in labelled]
    unused += [UnusedFile(row.path, Reason.DUPLICATE_PATH, row.line) for row in labelled[1:]]
    return next(iter(labelled), None), unused


def _why_unused(place: str, version: str) -> Reason | None:
    """Returns why a photo cannot be used; `version` is that of an object in a bucket."""
    if is_remote(place):
        return None if version else Reason.MISSING_FILE
    with contextlib.suppress(OSError, ValueError):  # A name that no file can have.
        if Path(place).exists():
            return None if Path(place).is_file() else Reason.NO_REGULAR_FILE
    return Reason.MISSING_FILE


def _describe_layout(name: str, manifest: _Manifest, splits: set[str]) -> str:
    columns = ", ".join(f"{role} is {column!r}" for role, column in manifest.roles.items())
    if not any(row.split for row in manifest.rows):
        return f"Manifest {name}: {columns}"
    kept = ", ".join(split for split in SPLITS if split in splits)
    unassigned = sum(not row.split for row in manifest.rows)
    into_train = f"; rows without one are in train: {unassigned:,}" if unassigned else ""
    return f"Manifest {name}: {columns}; splits are kept: {kept}{into_train}{describe_missing_splits(splits)}"
