"""Reviewed files: photos to relabel or exclude, by the ids that LabelReviewer lists."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.common.errors import UserError

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


def _read(flag: str, path: str, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with Path(path).expanduser().open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            rows = [] if missing else list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {flag} {path!r}: {getattr(error, 'strerror', None) or error}") from error
    if missing:
        raise UserError(f"{flag} {path!r} has no column {missing[0]!r}: use a file that `labels --to FILE.csv` wrote")
    for number, row in enumerate(rows, start=1):
        if not all(row[column] for column in columns):
            raise UserError(f"{flag} {path!r}: row {number} has no {' or '.join(columns)}")
    return rows
