"""Reviewed files: photos to relabel or exclude, by the ids that LabelReviewer lists."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.common.errors import UserError
from components.photos.class_names import name_key
from components.photos.manifest import csv_format, decode_text

# Class by the photo's id as text; None for a photo that is excluded.
LabelCorrections = Mapping[str, str | None]


def read_corrections(relabel: str, exclude: str) -> dict[str, str | None]:
    """Reads reviewed .csv files, either of which may be empty; returns the corrections sorted by id.

    `relabel` has the class of the photo `id` in the column `suggested_label`; `exclude` needs only the column `id`.
    Raises UserError if a file cannot be read, lacks a column, or contradicts another row.
    """
    corrections: dict[str, str | None] = {}
    for flag, path, columns in (("--relabel", relabel, ("id", "suggested_label")), ("--exclude", exclude, ("id",))):
        for row in _read(flag, path, columns) if path else ():
            photo, label = row["id"], row["suggested_label"] if len(columns) > 1 else None
            if corrections.setdefault(photo, label) != label:
                raise UserError(f"{flag} {path!r} contradicts an earlier row about {photo!r}: keep one of the two")
    return dict(sorted(corrections.items()))


def match_classes(corrections: LabelCorrections, class_names: Sequence[str]) -> dict[str, str | None]:
    """Returns the corrections with the names of classes, which spreadsheets may spell in another way.

    Raises UserError for a correction to a class that the photos do not have.
    """
    by_key = {name_key(name): name for name in class_names}
    for photo, label in corrections.items():
        if label is not None and name_key(label) not in by_key:
            classes = ", ".join(class_names)
            raise UserError(f"--relabel gives {photo!r} the label {label!r}, which is not one of {classes}")
    return {photo: label if label is None else by_key[name_key(label)] for photo, label in corrections.items()}


def _read(flag: str, path: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Reads a table with commas, or as spreadsheets save it: with semicolons or tabs, or in UTF-16."""
    try:
        text, delimiter = csv_format(decode_text(Path(path).expanduser().read_bytes(), path))
        reader = csv.DictReader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter, strict=True)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        rows = [] if missing else list(reader)
    except (OSError, csv.Error) as error:
        raise UserError(f"cannot read {flag} {path!r}: {getattr(error, 'strerror', None) or error}") from error
    if missing:
        raise UserError(f"{flag} {path!r} has no column {missing[0]!r}: use a file that `labels --to FILE.csv` wrote")
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise UserError(f"{flag} {path!r}: row {number} has more fields than the header: quote commas in names")
        if not all(row[column] for column in columns):
            raise UserError(f"{flag} {path!r}: row {number} has no {' or '.join(columns)}")
    return rows
