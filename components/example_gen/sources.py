"""A user's own photos: class-named folders, given as a folder or an archive, or what a manifest names.

Imports neither TensorFlow nor TFDS, so that bad input is reported at once.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from components.common.contracts import TRAIN_SPLIT
from components.common.errors import UserError
from components.common.photo_formats.photo_conversion import ACCEPTED_SUFFIXES
from components.common.storage.locks import exclusive_lock
from components.example_gen.archives import extract_archive
from components.example_gen.photo_folder.bucket_photos import fetch_photos, is_in_bucket
from components.example_gen.photo_folder.folder_files import files_below, find_class_root, is_hidden
from components.example_gen.photo_folder.left_out import describe_left_out, find_left_out
from components.example_gen.photo_folder.manifest_photos import scan_manifest
from components.example_gen.photo_folder.manifest_rows import is_manifest
from components.example_gen.photo_folder.photo_set import (
    PhotoFile,
    PhotoSet,
    file_digest,
    find_class_names,
    fingerprint_of,
)
from components.example_gen.photo_folder.split_layout import describe_layout, find_split_folders

# How much of a fingerprint names a photo set, as the version of a dataset.
FINGERPRINT_DIGITS: Final = 16
_ARCHIVE_SUFFIXES: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")


def scan_photos(path: str | Path, cache_dir: str | Path) -> PhotoSet:
    """Finds the classes and photos of a folder, archive or manifest.

    Args:
        path: A folder of class-named folders, possibly inside one top-level folder, or a .tgz, .tar.gz or .zip of one.
            Folders train, val (valid, validation) and test may be above the class folders. Or a manifest, CSV or JSON
            Lines. May be the URI of one in a bucket, which is copied to this machine.
        cache_dir: Where archives are unpacked, once per content.

    Returns:
        The photo set.

    Raises:
        UserError: Nothing is there, it cannot be read, archive or manifest are corrupt or unsafe, or there are not at
            least two classes with photos.
    """
    source = fetch_photos(str(path)) if is_in_bucket(str(path)) else Path(path).expanduser()
    try:
        if source.is_dir():
            return _scan_folder(source, source.resolve().name, str(path))
        if source.is_file() and is_manifest(source.name):
            return scan_manifest(source, str(path))
        if source.is_file():
            return _scan_archive(source, Path(cache_dir).expanduser())
    except OSError as error:
        raise UserError(f"cannot read photos from {str(path)!r}: {error.strerror}: {error.filename!r}") from error
    raise UserError(
        f"no photos at {str(path)!r}: expected a folder of class-named folders, a .tgz or .zip of one, or a manifest "
        "(.csv or .jsonl)"
    )


def _scan_archive(archive: Path, cache_dir: Path) -> PhotoSet:
    """Unpacks an archive, unless an intact copy of its content is there already, and scans it."""
    name = archive.name
    name = next((name[: -len(suffix)] for suffix in _ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), name)
    folder = cache_dir / "unpacked" / file_digest(archive)
    incomplete, record_path = folder.with_suffix(".incomplete"), folder.with_suffix(".json")
    with exclusive_lock(cache_dir / "unpacked.lock"):
        if folder.is_dir() and record_path.exists():
            record = json.loads(record_path.read_text(encoding="utf-8"))
            # Earlier versions left out other files, or only counted them.
            if record.get("suffixes") == list(ACCEPTED_SUFFIXES):
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
        record = {"fingerprint": photo_set.fingerprint, "left_out": left_out, "suffixes": ACCEPTED_SUFFIXES}
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
    used = (class_root + photo for photo in photos)
    left_out = find_left_out([*files, *unpacked_not], used, class_root, split_folders, ACCEPTED_SUFFIXES)
    if not photos:
        others = "".join(f"; {line}" for line in [describe_left_out(left_out)] if line)
        kinds = ", ".join(ACCEPTED_SUFFIXES)
        raise UserError(f"no photos in the folders of {source!r}: expected CLASS/PHOTO with one of {kinds}{others}")
    parts = ((photo, photo.split("/", 2)) for photo in photos)
    photo_files = tuple(
        PhotoFile(photo, root / photo, names[bool(split_folders)], split_folders.get(names[0], TRAIN_SPLIT))
        for photo, names in parts
    )
    return PhotoSet(
        source=source,
        name=name,
        root=root,
        files=photo_files,
        class_names=find_class_names(photo_files, source),
        fingerprint=fingerprint_of(photo_files),
        left_out=left_out,
        layout=describe_layout(split_folders, {file.split for file in photo_files}),
    )


def _is_photo(path: PurePosixPath) -> bool:
    return path.suffix.lower() in ACCEPTED_SUFFIXES and not any(is_hidden(part) for part in path.parts)
