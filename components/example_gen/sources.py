"""A user's own photos: class-named folders, given as a folder or an archive.

Imports neither TensorFlow nor TFDS, so that bad input is reported at once.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from components.common.contracts import TRAIN_SPLIT
from components.common.errors import UserError
from components.common.stack import PHOTO_SUFFIXES
from components.common.storage.locks import exclusive_lock
from components.example_gen.archives import extract_archive
from components.example_gen.photo_folder.bucket_photos import fetch_photos, is_in_bucket
from components.example_gen.photo_folder.folder_files import files_below, find_class_root, is_hidden
from components.example_gen.photo_folder.left_out import LeftOutFile, describe_left_out, find_left_out
from components.example_gen.photo_folder.split_layout import describe_layout, find_split_folders

MIN_CLASSES: Final = 2
# How much of a fingerprint names a photo set, as the version of a dataset or a folder of prepared data.
FINGERPRINT_DIGITS: Final = 16
_ARCHIVE_SUFFIXES: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")
_HASHING_THREADS: Final = 4


@dataclass(frozen=True)
class PhotoSet:
    """Class-named folders of photos.

    Attributes:
        name: The name of the folder or archive, without a suffix.
        root: The folder that holds the class folders, or the split folders above them.
        photos: Paths relative to `root`, sorted.
        class_names: Sorted by name; an example's label is the index in it.
        fingerprint: Hexadecimal SHA-256 over the relative paths and contents of the photos.
        left_out: The other files, sorted by path.
        split_folders: The split of each top folder, when these are splits and not classes.
    """

    name: str
    root: Path
    photos: tuple[str, ...] = field(repr=False)
    class_names: tuple[str, ...]
    fingerprint: str
    left_out: tuple[LeftOutFile, ...] = field(repr=False)
    split_folders: Mapping[str, str] = field(default_factory=dict)

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of photos of each class, in the order of `class_names`."""
        counts = Counter(self.class_of(photo) for photo in self.photos)
        return {name: counts[name] for name in self.class_names}

    @property
    def layout(self) -> str:
        """One line on the split folders; empty without any."""
        return describe_layout(self.split_folders, self.by_split)

    @property
    def by_split(self) -> dict[str, list[str]]:
        """The photos of each split folder that has any; without split folders all are in train."""
        splits: dict[str, list[str]] = {}
        for photo in self.photos:
            splits.setdefault(self.split_folders.get(photo.partition("/")[0], TRAIN_SPLIT), []).append(photo)
        return splits

    def class_of(self, photo: str) -> str:
        """Returns a photo's class: the name of the top folder, or of the one below the split's."""
        return photo.split("/", 2)[1 if self.split_folders else 0]


def scan_photos(path: str | Path, cache_dir: str | Path) -> PhotoSet:
    """Finds the classes and photos of a folder or archive.

    Args:
        path: A folder of class-named folders, possibly inside one top-level folder, or a .tgz, .tar.gz or .zip of one.
            Folders train, val (valid, validation) and test may be above the class folders. May be the URI of one in a
            bucket, which is copied to this machine.
        cache_dir: Where archives are unpacked, once per content.

    Returns:
        The photo set.

    Raises:
        UserError: Nothing is there, it cannot be read, the archive is corrupt or unsafe, or there are not at least two
            classes with photos.
    """
    source = fetch_photos(str(path)) if is_in_bucket(str(path)) else Path(path).expanduser()
    try:
        if source.is_dir():
            return _scan_folder(source, source.resolve().name, str(path))
        if source.is_file():
            return _scan_archive(source, Path(cache_dir).expanduser())
    except OSError as error:
        raise UserError(f"cannot read photos from {str(path)!r}: {error.strerror}: {error.filename!r}") from error
    raise UserError(f"no photos at {str(path)!r}: expected a folder of class-named folders, or a .tgz or .zip of one")


def _scan_archive(archive: Path, cache_dir: Path) -> PhotoSet:
    """Unpacks an archive, unless an intact copy of its content is there already, and scans it."""
    name = archive.name
    name = next((name[: -len(suffix)] for suffix in _ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), name)
    folder = cache_dir / "unpacked" / _file_digest(archive)
    incomplete, record_path = folder.with_suffix(".incomplete"), folder.with_suffix(".json")
    with exclusive_lock(cache_dir / "unpacked.lock"):
        if folder.is_dir() and record_path.exists():
            record = json.loads(record_path.read_text(encoding="utf-8"))
            # Records of earlier versions only counted.
            if "left_out" in record:
                photo_set = _scan_folder(folder, name, str(archive), record["left_out"])
                if photo_set.fingerprint == record["fingerprint"]:
                    return photo_set
        for leftover in (folder, *folder.parent.glob("*.incomplete")):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            left_out = extract_archive(archive, incomplete, _is_photo)
            incomplete.rename(folder)
        finally:
            shutil.rmtree(incomplete, ignore_errors=True)
        photo_set = _scan_folder(folder, name, str(archive), left_out)
        record = {"fingerprint": photo_set.fingerprint, "left_out": left_out}
        record_path.write_text(json.dumps(record), encoding="utf-8")
        return photo_set


def _scan_folder(folder: Path, name: str, source: str, unpacked_not: Sequence[str] = ()) -> PhotoSet:
    """Scans a folder; `source` is what messages call it, `unpacked_not` are the files that an archive holds besides."""
    root = find_class_root(folder, _is_photo)
    class_root = "" if root == folder else f"{root.relative_to(folder).as_posix()}/"
    files = list(files_below(folder, root))
    found = sorted(file.removeprefix(class_root) for file in files if file.startswith(class_root))
    photos = tuple(file for file in found if "/" in file and _is_photo(PurePosixPath(file)) and (root / file).is_file())
    split_folders = find_split_folders((entry.name for entry in root.iterdir() if entry.is_dir()), photos, source)
    if split_folders:
        photos = tuple(photo for photo in photos if photo.count("/") > 1 and photo.split("/")[0] in split_folders)
    class_names = tuple(sorted({photo.split("/", 2)[1 if split_folders else 0] for photo in photos}))
    used = (class_root + photo for photo in photos)
    left_out = find_left_out([*files, *unpacked_not], used, class_root, split_folders, PHOTO_SUFFIXES)
    if not photos:
        others = "".join(f"; {line}" for line in [describe_left_out(left_out)] if line)
        kinds = ", ".join(PHOTO_SUFFIXES)
        raise UserError(f"no photos in the folders of {source!r}: expected CLASS/PHOTO with one of {kinds}{others}")
    if len(class_names) < MIN_CLASSES:
        raise UserError(f"only one class, {class_names[0]!r}, in {source!r}: expected at least two folders of photos")
    for class_name in class_names:
        try:
            class_name.encode()
        except UnicodeEncodeError:
            raise UserError(f"the folder name {class_name!r} in {source!r} is not UTF-8: please rename it") from None
    return PhotoSet(name, root, photos, class_names, _fingerprint(root, photos), left_out, split_folders)


def _is_photo(path: PurePosixPath) -> bool:
    return path.suffix.lower() in PHOTO_SUFFIXES and not any(is_hidden(part) for part in path.parts)


def _fingerprint(root: Path, photos: tuple[str, ...]) -> str:
    with ThreadPoolExecutor(_HASHING_THREADS) as executor:
        digests = executor.map(lambda photo: _file_digest(root / photo), photos)
        lines = (os.fsencode(photo) + b"\0" + digest.encode() for photo, digest in zip(photos, digests, strict=True))
        return hashlib.sha256(b"\n".join(lines)).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
