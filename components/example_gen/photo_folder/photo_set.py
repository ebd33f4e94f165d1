"""A user's own photos, once they are found: where they are, and of which class and split each is."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from components.common.contracts import TRAIN_SPLIT
from components.common.errors import UserError
from components.example_gen.photo_folder.left_out import LeftOutFile

MIN_CLASSES: Final = 2
_HASHING_THREADS: Final = 4


@dataclass(frozen=True)
class PhotoFile:
    """One photo.

    Attributes:
        path: As the user has it: relative to the folder or manifest, or a URI. It is the example's id.
        file: Where it is: a path on this machine, or a URI.
        class_name: Its class.
        split: The split that it came in; train when it came in none.
        columns: What a manifest says of it, by column.
        version: What changes with its content, where a listing tells: size and checksum of an object in a bucket.
    """

    path: str
    file: str
    class_name: str
    split: str = TRAIN_SPLIT
    columns: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class PhotoSet:
    """All photos.

    Attributes:
        source: What the user gave.
        name: The name of the folder, archive or manifest, without a suffix.
        root: The folder that paths are relative to, or its URI.
        files: The photos, sorted by path.
        class_names: Sorted by name; an example's label is the index in it.
        fingerprint: Hexadecimal SHA-256 over the paths of the photos and what changes with their contents, and over a
            manifest's columns.
        left_out: The other files, sorted by path.
        layout: One line on how classes and splits were found, where that needs saying.
    """

    source: str
    name: str
    root: str
    files: tuple[PhotoFile, ...] = field(repr=False)
    class_names: tuple[str, ...]
    fingerprint: str
    left_out: tuple[LeftOutFile, ...] = field(repr=False)
    layout: str = ""

    @property
    def photos(self) -> tuple[str, ...]:
        """Their paths."""
        return tuple(file.path for file in self.files)

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of photos of each class, in the order of `class_names`."""
        counts = Counter(file.class_name for file in self.files)
        return {name: counts[name] for name in self.class_names}

    @property
    def by_split(self) -> dict[str, list[PhotoFile]]:
        """The photos of each split that has any."""
        splits: dict[str, list[PhotoFile]] = {}
        for file in self.files:
            splits.setdefault(file.split, []).append(file)
        return splits


def find_class_names(files: Iterable[PhotoFile], source: str) -> tuple[str, ...]:
    """Returns the classes of photos in label order.

    Args:
        files: The photos, at least one.
        source: What messages call the place that they are from.

    Raises:
        UserError: There are fewer than two, or one has a name that is not text.
    """
    names = tuple(sorted({file.class_name for file in files}))
    if len(names) < MIN_CLASSES:
        raise UserError(f"only one class, {names[0]!r}, in {source!r}: expected photos of at least two")
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise UserError(f"the folder name {name!r} in {source!r} is not UTF-8: please rename it") from None
    return names


def fingerprint_of(files: Iterable[PhotoFile]) -> str:
    """Returns a hexadecimal SHA-256 over the paths, contents and columns of photos, in their order.

    Contents are read on this machine only: times and sizes stay the same when a file is edited on purpose.
    """
    files = tuple(files)
    with ThreadPoolExecutor(_HASHING_THREADS) as executor:
        digests = executor.map(lambda file: file.version or file_digest(Path(file.file)), files)
        lines = (_line(file, digest) for file, digest in zip(files, digests, strict=True))
        return hashlib.sha256(b"\n".join(lines)).hexdigest()


def file_digest(path: Path) -> str:
    """Returns the hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _line(file: PhotoFile, digest: str) -> bytes:
    columns = json.dumps(file.columns, sort_keys=True).encode() if file.columns else b""
    return os.fsencode(file.path) + b"\0" + digest.encode() + columns
