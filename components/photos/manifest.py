"""Manifests of photos: CSV or JSON Lines with path, label and, optionally, split, under the names that tools use.

A header, or a key of JSON, may have any of the names below, in any case and punctuation; of nested JSON the last part
counts (`classificationAnnotation.displayName`). CSV without a header is `[split,]path,label`, as Vertex AI imports it.
Without a column for labels, columns of 0 and 1 are the classes: ISIC's tables, and Roboflow's `_classes.csv`.
"""

import ast
import contextlib
import csv
import functools
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from components.common.errors import UserError, storage_errors
from components.common.text import counted
from components.contracts import SPLITS, TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.contracts.quarantine import Reason
from components.photos.class_names import name_key, tidy_name
from components.photos.formats import ACCEPTED_SUFFIXES
from components.photos.named_files import Place, file_of, find_places
from components.photos.photo_set import (
    MIN_CLASSES,
    PhotoFile,
    PhotoSet,
    UnusedFile,
    describe_unused,
    make_photo_set,
)
from components.photos.splits import describe_missing_splits, split_of_name
from components.storage.objects import is_remote, read_object

_CSV_SUFFIXES: Final = (".csv", ".tsv")
_SUFFIXES: Final = (*_CSV_SUFFIXES, ".jsonl", ".ndjson", ".manifest")
_PATH, _LABEL, _SPLIT, _NOT_USED = "path", "label", "split", "not used"
# In the order of preference: of a class's name and its number, the name counts.
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    _PATH: (
        "path", "filepath", "filename", "file", "imagepath", "imagefile", "imagename", "imagegcsuri", "gcsuri",
        "imageuri", "uri", "imageurl", "url", "sourceref", "photo", "image", "img", "imgpath", "imgname", "fname",
        "imageid", "imgid", "id",
    ),
    _LABEL: (
        "classname", "labelname", "categoryname", "displayname", "label", "class", "category", "choice",
        "choices", "groundtruth", "tag", "species", "target",
    ),
    _SPLIT: ("split", "mluse", "subset", "set", "partition", "usage"),
    VALIDATION_SPLIT: ("isvalid", "isvalidation", "isval"),
    TEST_SPLIT: ("istest",),
    _NOT_USED: ("fold", "kfold", "istrain"),
}  # fmt: skip
_ROLES: Final = (_PATH, _LABEL, _SPLIT)
_MARKS: Final = {
    **dict.fromkeys(("1", "1.0", "true", "yes"), True),
    **dict.fromkeys(("0", "0.0", "false", "no", ""), False),
}
_ONE_HOT_FILE: Final = "_classes.csv"  # Roboflow's
_NO_SPLIT: Final = frozenset(("", "unassigned", "default"))
_NO_LABEL: Final = frozenset(("", "nan", "null", "<na>", "n/a", "#n/a"))
_MAX_NAMED: Final = 3
_Row = tuple[int, dict[str, str]]  # (line from 1, cells by column)


def is_manifest(path: str) -> bool:
    """Tells by its name whether a file is a manifest."""
    return PurePosixPath(path).suffix.lower() in _SUFFIXES


@dataclass(frozen=True)
class _ManifestRow:
    """One row; its split may be empty."""

    line: int  # from 1
    path: str  # or URI
    labels: Sequence[str]  # more than one if they are in one cell
    split: str
    columns: Mapping[str, str]  # the whole row


@dataclass(frozen=True)
class _Manifest:
    """All rows, the columns of path, label and split, and remarks for the user."""

    rows: Sequence[_ManifestRow]
    roles: Mapping[str, str]
    remarks: Sequence[str]


def _read_manifest(location: str, source: str, needs_label: bool = True) -> _Manifest:
    """Reads the manifest at a local path or URI; the suffix of `source`, as the user wrote it, tells the format."""
    if is_remote(location):
        with storage_errors(f"cannot read photos from {location!r}"):
            content = read_object(location)
    else:
        content = Path(location).read_bytes()
    text = decode_text(content, source)
    read = _read_csv if PurePosixPath(source).suffix.lower() in _CSV_SUFFIXES else _read_json_lines
    is_one_hot = PurePosixPath(source).name.lower() == _ONE_HOT_FILE
    rows: list[_ManifestRow] = []
    roles: dict[str, str] = {}
    columns: dict[str, None] = {}
    for line, cells in read(text, source):
        # Of several columns, preferably one with a value.
        found = {
            role: next((name for name in names if cells[name].strip()), names[0])
            for role, names in _columns(tuple(cells)).items()
            if role == _PATH or not is_one_hot
        }
        path, label, split = (cells[found[role]].strip() if role in found else "" for role in _ROLES)
        flags = [flag for flag in (VALIDATION_SPLIT, TEST_SPLIT) if flag in found]
        if flags and _SPLIT not in found:
            split = _flagged_split({flag: cells[found[flag]] for flag in flags})
            found[_SPLIT] = ", ".join(found[flag] for flag in flags)
        found_split = "" if split.lower() in _NO_SPLIT else split_of_name(split)
        if found_split is None:
            raise UserError(f"line {line} of {source!r} has the split {split!r}: expected train, validation or test")
        roles = {**found, **roles}
        columns |= dict.fromkeys(cells)
        rows.append(_ManifestRow(line, path, _labels(label), found_split, cells))
    if not rows:
        raise UserError(f"{source!r} has no rows: expected a header such as path,label and a row for each photo")
    if needs_label and _LABEL not in roles and (classes := _one_hot_columns(rows, list(roles.values()), is_one_hot)):
        roles[_LABEL] = ", ".join(classes if len(classes) <= _MAX_NAMED else (classes[0], "...", classes[-1]))
        rows = [replace(row, labels=[name for name in classes if _mark(row.columns, name)]) for row in rows]
    for role in (_PATH, _LABEL) if needs_label else (_PATH,):
        if role not in roles:
            raise UserError(
                f"{source!r} has no column for the photo's {role}: found {', '.join(columns) or 'none'}; expected one "
                f"called {', '.join(sorted(_NAMES[role]))}"
            )
    if empty := next((row for row in rows if not row.path), None):
        raise UserError(f"line {empty.line} of {source!r} has no {roles[_PATH]}: a path or URI is expected there")
    rows, remark = _split_labels(rows)
    remarks = [remark] if remark else []
    if _NOT_USED in roles:
        expected = "splits are read from a column called split, with train, validation or test"
        remarks.append(f"Column {roles[_NOT_USED]!r} is not used: {expected}")
    return _Manifest(rows, {role: roles[role] for role in _ROLES if role in roles}, remarks)


def decode_text(content: bytes, source: str) -> str:
    """Decodes a table in UTF-8, or in UTF-16 as Excel's Unicode text; raises UserError for another encoding."""
    try:
        return content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"line {line} of {source!r} is not UTF-8: save it as UTF-8") from None


@functools.lru_cache(maxsize=1024)
def _columns(names: tuple[str, ...]) -> dict[str, list[str]]:
    """Returns the columns of each role that has any."""
    by_name = {re.sub(r"[^a-z0-9]", "", re.split(r"[./]", name)[-1].lower()): name for name in reversed(names)}
    found = {role: [by_name[alias] for alias in aliases if alias in by_name] for role, aliases in _NAMES.items()}
    return {role: columns for role, columns in found.items() if columns}


def _mark(cells: Mapping[str, str], column: str) -> bool | None:
    return _MARKS.get(cells.get(column, "").strip().lower())


def _flagged_split(flags: Mapping[str, str]) -> str:
    """Returns the split of a row by cells such as that of `is_valid`; of cells that make no sense, what they say."""
    marks = {split: cell.strip().lower() for split, cell in flags.items()}
    said = [split if _MARKS.get(mark) else mark for split, mark in marks.items() if _MARKS.get(mark, True)]
    return " and ".join(said) or TRAIN_SPLIT


def _one_hot_columns(rows: Sequence[_ManifestRow], others: Sequence[str], is_one_hot: bool) -> list[str]:
    """Returns the columns that have a 1 for the photo's class; rows with none or several of them need `is_one_hot`."""
    columns = [column for column in rows[0].columns if column and column not in others]
    marks = [[_mark(row.columns, column) for column in columns] for row in rows]
    if len(columns) < MIN_CLASSES or any(None in row or (row.count(True) != 1 and not is_one_hot) for row in marks):
        return []
    return columns


@functools.lru_cache(maxsize=1024)
def _labels(cell: str) -> Sequence[str]:
    """Returns the labels in a cell: none, one, or those of a list (of JSON, Python, or Label Studio's choices)."""
    found: Any = cell
    if cell.startswith(("[", "{")):
        for parse in (ast.literal_eval, json.loads):
            with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                found = parse(cell)
    if isinstance(found, dict):
        found = found.get("choices", cell)
    labels = (str(label).strip() for label in (found if isinstance(found, list) else [found]) if label is not None)
    return [label for label in dict.fromkeys(labels) if tidy_name(label).lower() not in _NO_LABEL]


def _split_labels(rows: list[_ManifestRow]) -> tuple[list[_ManifestRow], str]:
    """Splits labels such as `rose|red` if other rows have their parts: at least one, with commas all.

    Returns a remark on labels with such signs that stay as they are, or an empty one.
    """
    alone = {row.labels[0] for row in rows if len(row.labels) == 1}
    keys = set(map(name_key, alone))
    parts_of: dict[str, list[str]] = {}
    for label in alone:
        for sign, enough in (("|", any), (";", any), (",", all)):
            parts = [part.strip() for part in label.split(sign) if tidy_name(part)]
            if len(parts) > 1 and enough(name_key(part) in keys for part in parts):
                parts_of[label] = parts
    kept = sorted(repr(label) for label in alone if label not in parts_of and re.search("[|;,]", label))
    more = f" and {len(kept) - _MAX_NAMED} more" if len(kept) > _MAX_NAMED else ""
    remark = f"Labels kept whole, because other rows do not have their parts: {', '.join(kept[:_MAX_NAMED])}{more}"
    if parts_of:
        rows = [replace(row, labels=parts_of.get(row.labels[0], row.labels)) if row.labels else row for row in rows]
    return rows, remark if kept else ""


def csv_format(text: str) -> tuple[str, str]:
    """Returns the text of a table without Excel's line `sep=;`, and its delimiter."""
    first, end, rest = text.partition("\n")
    if named := re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE):
        return end + rest, named[1]  # The empty line keeps the others' numbers.
    return text, max(",;\t", key=first.count)


def _read_csv(text: str, source: str) -> Iterator[_Row]:
    text, delimiter = csv_format(text)
    # A blank after the delimiter would make quotes a part of the cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
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
        elif not isinstance(value, list) or _LABEL in _columns((name,)):
            yield prefix + name, value if isinstance(value, str) else "" if value is None else json.dumps(value)


def scan_manifest(location: str, source: str) -> PhotoSet:
    """Finds the photos of a manifest at a path on this machine or a URI; `source` is what the user gave.

    Relative paths in it are relative to it. Rows without a label, without a photo, or of a photo that another row has,
    are not used. Raises UserError for an invalid manifest, an unreadable bucket, or fewer than two classes.
    """
    manifest = _read_manifest(location, source)
    name = PurePosixPath(location)
    files, unused, remarks = _find_photos(manifest, location, source)
    if not files:
        others = [describe_unused(unused), *remarks] if unused else remarks
        raise UserError("; ".join([f"no photos in {source!r}: expected rows of path and label", *others]))
    splits = {photo.split for photo in files}
    if TRAIN_SPLIT not in splits:
        raise UserError(f"{source!r} has photos of {', '.join(sorted(splits))} but none of train: add some")
    layout = _describe_layout(name.name, manifest, splits)
    return make_photo_set(source, name.stem, files, unused, layout, remarks=remarks)


def scan_split_tables(folder: str, tables: Mapping[str, str], photos: Iterable[str], source: str) -> PhotoSet:
    """Finds the photos of manifests in split folders, as Roboflow exports them; raises UserError as `scan_manifest`.

    `tables` has the split of each manifest, and `photos` all photos, by their paths below `folder`.
    """
    files: list[PhotoFile] = []
    unused: list[UnusedFile] = []
    remarks: list[str] = []
    for table, split in tables.items():
        location = f"{folder}/{table}"
        top = table.rpartition("/")[0]
        found, not_used, of_table = _find_photos(_read_manifest(location, location), location, location)
        files += [replace(file, path=f"{top}/{file.path}", split=split) for file in found]
        unused += [replace(file, path=f"{top}/{file.path}") for file in not_used]
        remarks += of_table
    listed = {file.path for file in files} | {file.path for file in unused}
    unused += [UnusedFile(photo, Reason.NO_LABEL) for photo in photos if photo not in listed]
    splits = {photo.split for photo in files}
    if TRAIN_SPLIT not in splits:
        raise UserError(f"no photos of train in {source!r}: expected some in the tables {', '.join(tables)}")
    layout = f"Labels are from {', '.join(tables)}; splits are kept{describe_missing_splits(splits)}"
    files.sort(key=lambda photo: photo.path)
    return make_photo_set(source, PurePosixPath(source).name, files, unused, layout, remarks=remarks)


def _find_photos(
    manifest: _Manifest, location: str, source: str
) -> tuple[list[PhotoFile], list[UnusedFile], list[str]]:
    """Returns a manifest's photos, the rows that are not used, and remarks."""
    with storage_errors(f"cannot read photos from {source!r}"):
        places = find_places({row.path for row in manifest.rows}, location.rpartition("/")[0])
    by_file: dict[str, list[_ManifestRow]] = defaultdict(list)
    for row in manifest.rows:
        by_file[places[row.path].file].append(row)
    unused: list[UnusedFile] = []
    files = []
    for rows in by_file.values():
        chosen, unused_rows = _choose(rows)
        unused += unused_rows
        if not chosen:
            continue
        path, place, [label] = chosen.path, places[chosen.path], chosen.labels
        if reason := _why_unused(place):
            unused.append(UnusedFile(path, reason, chosen.line))
        else:
            split = chosen.split or TRAIN_SPLIT
            files.append(PhotoFile(path, place.file, label, split, chosen.columns, place.version))
    files.sort(key=lambda photo: photo.path)
    unused.sort(key=lambda file: (file.path, file.line))
    return files, unused, [*manifest.remarks, *_describe_places(files, unused, places)]


def photos_named(location: str) -> list[str]:
    """Returns the URIs and local paths of a manifest's rows, each once; it needs no labels."""
    base = location.rpartition("/")[0]
    paths = dict.fromkeys(row.path for row in _read_manifest(location, location, needs_label=False).rows)
    files = {path: file_of(path, base) for path in paths}
    on_this_machine = find_places([path for path, file in files.items() if not is_remote(file)], base)
    return list(dict.fromkeys(on_this_machine[path].file if path in on_this_machine else files[path] for path in paths))


def _describe_places(
    files: Sequence[PhotoFile], unused: Sequence[UnusedFile], places: Mapping[str, Place]
) -> Iterator[str]:
    """Yields a line on the photos that are not where their rows say, and one on the first that is not found."""
    if by_name := [photo for photo in files if places[photo.path].is_by_name]:
        photo = by_name[0]
        yield f"Found by the end of their paths: {counted(len(by_name), 'photo')}, such as {photo.path!r}: {photo.file}"
    for reason in (Reason.MISSING_FILE, Reason.AMBIGUOUS_FILE):
        if file := next((file for file in unused if file.reason is reason), None):
            place = places[file.path]
            several = f"may be {' or '.join(place.alternatives[:_MAX_NAMED])}: write the path"
            yield f"Line {file.line}: {file.path!r} {several if place.alternatives else f'is not at {place.file}'}"


def _choose(rows: Sequence[_ManifestRow]) -> tuple[_ManifestRow | None, list[UnusedFile]]:
    """Returns the row to use of the rows of one photo, if any, and the others."""
    labelled = [row for row in rows if len(row.labels) == 1]
    reasons = ((row, Reason.SEVERAL_LABELS if row.labels else Reason.NO_LABEL) for row in rows if len(row.labels) != 1)
    unused = [UnusedFile(row.path, reason, row.line) for row, reason in reasons]
    if len({name_key(row.labels[0]) for row in labelled}) > 1:
        return None, unused + [UnusedFile(row.path, Reason.LABEL_CONFLICT, row.line) for row in labelled]
    unused += [UnusedFile(row.path, Reason.DUPLICATE_PATH, row.line) for row in labelled[1:]]
    return next(iter(labelled), None), unused


def _why_unused(place: Place) -> Reason | None:
    """Returns why a photo cannot be used."""
    if place.alternatives:
        return Reason.AMBIGUOUS_FILE
    if is_remote(place.file):
        return None if place.version else Reason.MISSING_FILE
    with contextlib.suppress(OSError, ValueError):  # A name that no file can have.
        if Path(place.file).exists():
            return None if Path(place.file).is_file() else Reason.NO_REGULAR_FILE
    return Reason.MISSING_FILE


def _describe_layout(name: str, manifest: _Manifest, splits: set[str]) -> str:
    columns = ", ".join(f"{role} is {column!r}" for role, column in manifest.roles.items())
    if not any(row.split for row in manifest.rows):
        return f"Manifest {name}: {columns}"
    kept = ", ".join(split for split in SPLITS if split in splits)
    unassigned = sum(not row.split for row in manifest.rows)
    into_train = f"; rows without one are in train: {unassigned:,}" if unassigned else ""
    return f"Manifest {name}: {columns}; splits are kept: {kept}{into_train}{describe_missing_splits(splits)}"
