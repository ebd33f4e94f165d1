"""A user's own photos: where each one is, its class and split, and the files that are not used."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from components.common.errors import UserError
from components.common.text import counted
from components.contracts import TRAIN_SPLIT
from components.contracts.quarantine import Action, QuarantineEntry, Reason
from components.photos.class_names import describe_merged, find_classes
from components.photos.formats import ACCEPTED_SUFFIXES

MIN_CLASSES: Final = 2
_HASHING_THREADS: Final = 4
_DIGEST_DIGITS: Final = 16
_MAX_KINDS: Final = 8
_PHRASES: Final = {
    Reason.HIDDEN: "hidden",
    Reason.OUTSIDE_CLASS_FOLDERS: "outside class folders",
    Reason.NO_REGULAR_FILE: "not a regular file (link to a folder, broken link)",
    Reason.NO_LABEL: "without a label",
    Reason.SEVERAL_LABELS: "with several labels",
    Reason.DUPLICATE_PATH: "listed before",
    Reason.LABEL_CONFLICT: "under two labels",
    Reason.MISSING_FILE: "missing",
    Reason.AMBIGUOUS_FILE: "found in several places",
}


@dataclass(frozen=True)
class PhotoFile:
    """One photo."""

    path: str  # relative to the folder or manifest, or a URI, as the user wrote it; the example's id
    file: str  # a path on this machine, or a URI
    class_name: str
    split: str = TRAIN_SPLIT  # as the source tells
    columns: Mapping[str, str] = field(default_factory=dict)  # its row of a manifest
    version: str = ""  # size and checksum of an object in a bucket


@dataclass(frozen=True)
class UnusedFile:
    """A file that is not used."""

    path: str  # relative to the folder or archive, with a / at the end of a link to a folder; or as a manifest has it
    reason: Reason
    line: int = 0  # the manifest's

    @property
    def kind(self) -> str:
        """The reason in words, or the unsupported suffix."""
        return _PHRASES.get(self.reason) or PurePosixPath(self.path).suffix.lower() or "without a suffix"

    def to_entry(self) -> QuarantineEntry:
        """Returns its line of the quarantine listing."""
        detail = self.kind if self.reason in _PHRASES else f"{self.kind}, not one of {', '.join(ACCEPTED_SUFFIXES)}"
        if self.line:
            detail = f"{detail} (line {self.line})"
        text = os.fsencode(self.path).decode("utf-8", "backslashreplace")
        return QuarantineEntry(text, "", -1, "", Action.LEFT_OUT, self.reason, detail)


@dataclass(frozen=True)
class PhotoSet:
    """All photos of a user's source."""

    source: str  # as the user gave it
    name: str  # of the folder, archive or manifest, without a suffix
    files: tuple[PhotoFile, ...] = field(repr=False)  # sorted by path
    class_names: tuple[str, ...]  # sorted; an example's label is the index
    fingerprint: str  # hexadecimal SHA-256 of the paths, contents and columns of the photos
    unused_files: tuple[UnusedFile, ...] = field(repr=False)  # sorted by path
    layout: str = ""  # one line on how classes and splits were found; empty for plain class folders
    remarks: tuple[str, ...] = ()  # further lines for the user on how the source was interpreted


def make_photo_set(
    source: str,
    name: str,
    files: Sequence[PhotoFile],
    unused_files: Sequence[UnusedFile],
    layout: str,
    *,
    remarks: Iterable[str] = (),
) -> PhotoSet:
    """Finds the classes of photos, sorted by path; spellings of a class that look alike become one.

    Raises UserError for a single class, for names that differ only by case or as numbers are written, or for one that
    is not UTF-8.
    """
    classes = find_classes({file.class_name for file in files}, source)
    renamed = {name for name, class_name in classes.items() if name != class_name}
    if renamed:
        files = [
            replace(file, class_name=classes[file.class_name]) if file.class_name in renamed else file for file in files
        ]
    class_names = tuple(sorted(set(classes.values())))
    if len(class_names) < MIN_CLASSES:
        also = f"; {describe_unused(unused_files)}" if unused_files else ""
        raise UserError(f"only one class, {class_names[0]!r}, in {source!r}: expected photos of at least two{also}")
    for class_name in class_names:
        try:
            class_name.encode()
        except UnicodeEncodeError:
            raise UserError(f"the folder name {class_name!r} in {source!r} is not UTF-8: rename the folder") from None
    remarks = (*remarks, *describe_merged(classes))
    return PhotoSet(source, name, tuple(files), class_names, _fingerprint(files), tuple(unused_files), layout, remarks)


def describe_unused(files: Sequence[UnusedFile]) -> str:
    """Returns one line such as "12 files are not used: 9 .webp, 3 hidden"; empty without unused files."""
    return (
        f"{counted(len(files), 'file')} {'is' if len(files) == 1 else 'are'} not used: {count_kinds(files)}"
        if files
        else ""
    )


def count_kinds(files: Sequence[UnusedFile]) -> str:
    """Returns the reasons, frequent ones first, such as "9 .webp, 3 hidden"; empty without files."""
    kinds = Counter(file.kind for file in files)
    most = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:_MAX_KINDS]
    parts = [f"{count:,} {kind}" for kind, count in most]
    if rest := len(files) - sum(count for _, count in most):
        parts.append(f"{rest:,} others")
    return ", ".join(parts)


def unused_digest(files: Sequence[UnusedFile]) -> str:
    """Returns a digest of the files except hidden ones, which come and go unnoticed; empty without any."""
    lines = [f"{file.path}\0{file.reason.value}" for file in files if file.reason is not Reason.HIDDEN]
    return hashlib.sha256(os.fsencode("\n".join(lines))).hexdigest()[:_DIGEST_DIGITS] if lines else ""


def _fingerprint(files: Iterable[PhotoFile]) -> str:
    """Reads files on this machine: their times and sizes may stay the same when they are edited."""

    def line(file: PhotoFile) -> bytes:
        columns = json.dumps(file.columns, sort_keys=True) if file.columns else ""
        return os.fsencode(file.path) + f"\0{file.version or file_digest(Path(file.file))}{columns}".encode()

    with ThreadPoolExecutor(_HASHING_THREADS) as executor:
        return hashlib.sha256(b"\n".join(executor.map(line, files))).hexdigest()


def file_digest(path: Path) -> str:
    """Returns the hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
