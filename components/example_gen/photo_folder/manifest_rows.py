"""Manifests of photos: CSV or JSON Lines with path, label and, if there is one, split, under the names that tools use.

What is understood: a header, or a key of JSON, that is called like one of the names below, whatever its case and
punctuation, of nested JSON the last part of it (`classificationAnnotation.displayName`); and CSV without a header,
`[split,]path,label`, as Vertex AI imports it.
"""

import csv
import functools
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from components.common.contracts import TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.common.errors import UserError
from components.common.photo_formats.photo_conversion import ACCEPTED_SUFFIXES
from components.example_gen.photo_folder.split_layout import SPLIT_NAMES

_CSV_SUFFIXES: Final = (".csv", ".tsv")
_SUFFIXES: Final = (*_CSV_SUFFIXES, ".jsonl", ".ndjson", ".manifest")

_PATH, _LABEL, _SPLIT = "path", "label", "split"
# In the order in which they are looked for: of a name and a number of the same class, the name counts.
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
_SPLITS: Final = {
    **SPLIT_NAMES,
    "training": TRAIN_SPLIT,
    "validate": VALIDATION_SPLIT,
    "dev": VALIDATION_SPLIT,
    "testing": TEST_SPLIT,
    "unassigned": "",
    "default": "",
    "": "",
}


def is_manifest(path: str) -> bool:
    """Tells by its name whether a file is a manifest."""
    return PurePosixPath(path).suffix.lower() in _SUFFIXES


@dataclass(frozen=True)
class ManifestRow:
    """One row.

    Attributes:
        line: Its number, from 1.
        path: A path or URI, not empty.
        label: Empty when there is none.
        split: One of SPLITS; empty when there is none.
        columns: All of it, by column.
    """

    line: int
    path: str
    label: str
    split: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Manifest:
    """All rows, and which columns path, label and split were read from."""

    rows: Sequence[ManifestRow]
    roles: Mapping[str, str]


def read_manifest(content: bytes, source: str, needs_label: bool = True) -> Manifest:
    """Reads a manifest.

    Args:
        content: What it holds.
        source: Its path or URI, with the suffix of one, as messages call it.
        needs_label: Whether there has to be a column for the label.

    Returns:
        Its rows.

    Raises:
        UserError: It has no column for path or label, or a line cannot be understood.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"line {line} of {source!r} is not UTF-8: please save it as UTF-8") from None
    read = _read_csv if PurePosixPath(source).suffix.lower() in _CSV_SUFFIXES else _read_json_lines
    rows: list[ManifestRow] = []
    roles: dict[str, str] = {}
    others: dict[str, None] = {}
    for line, columns in read(text, source):
        found = {role: column for role in _NAMES if (column := _column(role, tuple(columns), columns))}
        roles = {**found, **roles}
        others |= dict.fromkeys(columns)
        path, label, split = (columns[found[role]].strip() if role in found else "" for role in _NAMES)
        if split.lower() not in _SPLITS:
            raise UserError(f"line {line} of {source!r} has the split {split!r}: expected train, validation or test")
        rows.append(ManifestRow(line, path, label, _SPLITS[split.lower()], columns))
    _check_columns(roles, (_PATH, _LABEL) if needs_label else (_PATH,), others, source)
    for row in rows:
        if not row.path:
            raise UserError(f"line {row.line} of {source!r} has no {roles[_PATH]}: a path or URI is expected there")
    return Manifest(rows, roles)


def _check_columns(roles: Mapping[str, str], needed: Sequence[str], columns: Mapping[str, None], source: str) -> None:
    for role in needed:
        if role not in roles:
            raise UserError(
                f"{source!r} has no column for the photo's {role}: found {', '.join(columns) or 'none'}; expected one "
                f"called {', '.join(sorted(_NAMES[role]))}"
            )


def _column(role: str, names: tuple[str, ...], columns: Mapping[str, str]) -> str:
    """Returns the column of a role, one that is filled first; empty when there is none."""
    fitting = _columns(role, names)
    return next((name for name in fitting if columns[name].strip()), next(iter(fitting), ""))


@functools.lru_cache(maxsize=1024)
def _columns(role: str, names: tuple[str, ...]) -> list[str]:
    by_name = {re.sub(r"[^a-z0-9]", "", re.split(r"[./]", name)[-1].lower()): name for name in reversed(names)}
    return [by_name[alias] for alias in _NAMES[role] if alias in by_name]


def _read_csv(text: str, source: str) -> Iterator[tuple[int, dict[str, str]]]:
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
                    raise UserError(f"{source!r} has two columns called {twice!r}: please rename one")
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
    """Tells whether the first row is a photo and no header."""
    return any("://" in cell or PurePosixPath(cell.strip()).suffix.lower() in ACCEPTED_SUFFIXES for cell in cells[:2])


def _without_header(cells: Sequence[str], line: int, source: str) -> dict[str, str]:
    has_split = len(cells) > 1 and cells[0].strip().lower() in _SPLITS
    split, path, *labels = cells if has_split else ["", *cells]
    labels = [label for label in labels if label.strip()]
    if len(labels) > 1:
        raise UserError(f"line {line} of {source!r} has {len(labels)} labels: expected [split,]path,label")
    return {_PATH: path, _LABEL: "".join(labels), _SPLIT: split}


def _read_json_lines(text: str, source: str) -> Iterator[tuple[int, dict[str, str]]]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"line {line} of {source!r} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f"line {line} of {source!r} is no JSON object: expected a path and a label by name")
        yield line, dict(_flat(row))


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            yield prefix + name, value if isinstance(value, str) else "" if value is None else json.dumps(value)
