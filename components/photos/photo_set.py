"""A user's own photos, once they are found: where they are, and of which class and split each is."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from components.common.errors import UserError
from components.contracts import TRAIN_SPLIT
from components.contracts.quarantine import Action, QuarantineEntry, Reason


def find_class_root(folder: Path, is_photo: Callable[[PurePosixPath], bool]) -> Path:
    """Steps into single top-level folders: `flower_photos.tgz` holds its class folders in `flower_photos/`.

    Args:
        folder: The folder that the user gave.
        is_photo: Tells by its path whether a file is a photo.

    Returns:
        The folder that holds the class folders.
    """
    while True:
        folders = [entry for entry in folder.iterdir() if entry.is_dir() and not is_hidden(entry.name)]
        if len(folders) != 1 or not any(entry.is_dir() for entry in folders[0].iterdir()):
            return folder
        if any(is_photo(PurePosixPath(entry.name)) for entry in folders[0].iterdir()):
            return folder
        folder = folders[0]


def files_below(folder: Path, root: Path) -> Iterator[str]:
    """Yields the paths of all files of a folder, relative to it.

    Links to folders are not followed, because they may form a loop: they are yielded with a / at the end.

    Args:
        folder: A folder.
        root: It or a folder in it, which may be a link, too, and is followed.
    """
    for top in dict.fromkeys([folder, root]):
        for parent, folders, names in os.walk(top, onerror=_raise):
            relative = Path(parent).relative_to(folder)
            if top != root:
                folders[:] = [name for name in folders if Path(parent) / name != root]
            yield from ((relative / name).as_posix() for name in names)
            links = (name for name in folders if (Path(parent) / name).is_symlink())
            yield from (f"{(relative / name).as_posix()}/" for name in links)


def is_hidden(name: str) -> bool:
    """Tells whether a file or folder of this name is not meant to be seen."""
    return name.startswith(".") or name == "__MACOSX"


def _raise(error: OSError) -> None:
    raise error


_PHRASES: Final = {
    Reason.HIDDEN: "hidden",
    Reason.OUTSIDE_CLASS_FOLDERS: "outside class folders",
    Reason.NO_REGULAR_FILE: "no regular files (links to folders, broken links)",
    Reason.NO_LABEL: "without a label",
    Reason.DUPLICATE_PATH: "named before",
    Reason.LABEL_CONFLICT: "under two labels",
    Reason.MISSING_FILE: "missing",
}
_MAX_KINDS: Final = 8
_DIGEST_DIGITS: Final = 16


@dataclass(frozen=True)
class LeftOutFile:
    """A file that is not used.

    Attributes:
        path: Below the folder or archive that the user gave; that of a link to a folder ends in /. Or as a manifest
            has it.
        reason: Why.
        line: The manifest's line that names it; 0 without a manifest.
    """

    path: str
    reason: Reason
    line: int = 0

    def to_entry(self, suffixes: Iterable[str]) -> QuarantineEntry:
        """Returns its line of the quarantine listing; `suffixes` are those of photos."""
        detail = _PHRASES.get(self.reason) or f"{_suffix(self.path)}, not one of {', '.join(suffixes)}"
        if self.line:
            detail = f"{detail} (line {self.line})"
        text = os.fsencode(self.path).decode("utf-8", "backslashreplace")
        return QuarantineEntry(text, "", -1, "", Action.LEFT_OUT, self.reason, detail)


def find_left_out(
    files: Iterable[str],
    photos: Iterable[str],
    class_root: str,
    split_folders: Mapping[str, str],
    suffixes: Collection[str],
) -> tuple[LeftOutFile, ...]:
    """Tells why files are not used.

    Args:
        files: Paths of all files below the folder that the user gave.
        photos: Those that are used.
        class_root: Where in that folder the class folders are, or the split folders above them; empty or ending in /.
        split_folders: The top folders that are splits.
        suffixes: Those of photos.

    Returns:
        The files that are not used, sorted by path.
    """

    def reason(file: str) -> Reason:
        below = file.removeprefix(class_root)
        folders = below.split("/")[:-1]
        if any(is_hidden(part) for part in file.split("/")):
            return Reason.HIDDEN
        if file.endswith("/"):
            return Reason.NO_REGULAR_FILE
        if not file.startswith(class_root) or len(folders) <= bool(split_folders):
            return Reason.OUTSIDE_CLASS_FOLDERS
        if split_folders and folders[0] not in split_folders:
            return Reason.OUTSIDE_CLASS_FOLDERS
        return Reason.NO_REGULAR_FILE if _suffix(file) in suffixes else Reason.UNSUPPORTED_SUFFIX

    used = set(photos)
    return tuple(LeftOutFile(file, reason(file)) for file in sorted(files) if file not in used)


def describe_left_out(files: Sequence[LeftOutFile]) -> str:
    """Returns one line such as "12 files are not used: 9 .webp, 3 hidden"; empty when there are none."""
    if not files:
        return ""
    kinds = Counter(_PHRASES.get(file.reason) or _suffix(file.path) for file in files)
    most = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:_MAX_KINDS]
    shares = [f"{count:,} {kind}" for kind, count in most]
    if rest := kinds.total() - sum(count for _, count in most):
        shares.append(f"{rest:,} others")
    return f"{len(files):,} {'file is' if len(files) == 1 else 'files are'} not used: {', '.join(shares)}"


def left_out_digest(files: Sequence[LeftOutFile]) -> str:
    """Returns a digest of the files but hidden ones, which come and go unnoticed; empty when there are none."""
    lines = [f"{file.path}\0{file.reason.value}" for file in files if file.reason is not Reason.HIDDEN]
    return hashlib.sha256(os.fsencode("\n".join(lines))).hexdigest()[:_DIGEST_DIGITS] if lines else ""


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower() or "without a suffix"


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
