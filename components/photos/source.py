"""A user's own photos: class-named folders, given as a folder or an archive, or what a manifest names.

Imports neither TensorFlow nor TFDS, so that bad input is reported at once.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from components.common.errors import UserError
from components.photos import bucket
from components.photos.archive import extract_archive
from components.photos.convert import ACCEPTED_SUFFIXES
from components.photos.folder import find_local_files, is_photo, photo_set_of
from components.photos.manifest import is_manifest, scan_manifest
from components.photos.photo_set import PhotoSet, file_digest
from components.storage.atomic import exclusive_lock, write_atomically
from components.storage.objects import is_remote

# How much of a fingerprint names a photo set, as the version of a dataset.
FINGERPRINT_DIGITS: Final = 16
_ARCHIVE_SUFFIXES: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")


def scan_photos(path: str | Path, cache_dir: str | Path) -> PhotoSet:
    """Finds the classes and photos of a folder, archive or manifest.

    Args:
        path: A folder of class-named folders, possibly inside one top-level folder, or a .tgz, .tar.gz or .zip of one.
            Folders train, val (valid, validation) and test may be above the class folders. Or a manifest, CSV or JSON
            Lines. May be the URI of one in a bucket: an archive is copied to this machine, the others are not.
        cache_dir: Where archives are unpacked, once per content.

    Returns:
        The photo set.

    Raises:
        UserError: Nothing is there, it cannot be read, archive or manifest are corrupt or unsafe, or there are not at
            least two classes with photos.
    """
    if is_remote(str(path)):
        return _scan_remote(str(path), Path(cache_dir).expanduser())
    source = Path(path).expanduser()
    try:
        if source.is_dir():
            return photo_set_of(find_local_files(source), source.resolve().name, str(path))
        if source.is_file() and is_manifest(source.name):
            return scan_manifest(str(source), str(path))
        if source.is_file():
            return _scan_archive(source, Path(cache_dir).expanduser())
    except OSError as error:
        raise UserError(f"cannot read photos from {str(path)!r}: {error.strerror}: {error.filename!r}") from error
    raise UserError(
        f"no photos at {str(path)!r}: expected a folder of class-named folders, a .tgz or .zip of one, or a manifest "
        "(.csv or .jsonl)"
    )


def _scan_remote(uri: str, cache_dir: Path) -> PhotoSet:
    name = PurePosixPath(uri).name
    if is_manifest(name):
        return scan_manifest(uri, uri)
    if name.lower().endswith(_ARCHIVE_SUFFIXES):
        with bucket.fetched_archive(uri) as archive:
            return _scan_archive(archive, cache_dir)
    return photo_set_of(bucket.find_files(uri), name, uri)


def _scan_archive(archive: Path, cache_dir: Path) -> PhotoSet:
    """Unpacks an archive, unless an intact copy of its content is there already, and scans it."""
    name = archive.name
    name = next((name[: -len(suffix)] for suffix in _ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), name)
    folder = cache_dir / "unpacked" / file_digest(archive)
    incomplete, record_path = folder.with_suffix(".incomplete"), folder.with_suffix(".json")
    with exclusive_lock(cache_dir / "unpacked.lock"):
        if intact := _intact_copy(folder, record_path, name, str(archive)):
            return intact
        for leftover in (folder, *folder.parent.glob("*.incomplete")):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            left_out = extract_archive(archive, incomplete, is_photo)
            incomplete.rename(folder)
        finally:
            shutil.rmtree(incomplete, ignore_errors=True)
        photo_set = _scan_folder(folder, name, str(archive), left_out)
        record = {"fingerprint": photo_set.fingerprint, "left_out": left_out, "suffixes": ACCEPTED_SUFFIXES}
        write_atomically(record_path, json.dumps(record))
        return photo_set


def _intact_copy(folder: Path, record_path: Path, name: str, archive: str) -> PhotoSet | None:
    """Returns what an earlier run unpacked, if it is what this one would unpack."""
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        fingerprint, left_out, suffixes = record["fingerprint"], record["left_out"], record["suffixes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Earlier versions left out other files, or only counted them.
    if suffixes != list(ACCEPTED_SUFFIXES) or not folder.is_dir():
        return None
    photo_set = _scan_folder(folder, name, archive, left_out)
    return photo_set if photo_set.fingerprint == fingerprint else None


def _scan_folder(folder: Path, name: str, source: str, unpacked_not: Sequence[str]) -> PhotoSet:
    """Scans what was unpacked of an archive; `unpacked_not` are the files that it holds besides."""
    found = find_local_files(folder)
    return photo_set_of(replace(found, files=(*found.files, *unpacked_not)), name, source)
