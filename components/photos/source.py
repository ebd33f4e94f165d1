"""A user's own photos, given as a folder, an archive or a manifest; imports neither TensorFlow nor TFDS."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from components.common.errors import UserError, storage_errors
from components.photos.archive import extract_archive
from components.photos.folder import FolderListing, find_split_tables, is_photo, list_folder, photo_set_of
from components.photos.formats import ACCEPTED_SUFFIXES
from components.photos.manifest import is_manifest, scan_manifest, scan_split_tables
from components.photos.photo_set import PhotoSet, file_digest
from components.photos.splits import AUTO
from components.storage.atomic import exclusive_lock, write_atomically
from components.storage.objects import is_remote, list_objects, read_object

# The dataset's version is the start of the fingerprint.
FINGERPRINT_DIGITS: Final = 16
_OTHER_TABLES: Final = (".xlsx", ".xlsm", ".xls", ".ods", ".parquet", ".feather", ".json", ".txt")
_ARCHIVE_SUFFIXES: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")


def scan_photos(path: str | Path, cache_dir: str | Path, layout: str = AUTO) -> PhotoSet:
    """Finds the classes and photos of a folder, archive or manifest, on this machine or in a bucket.

    A folder has class folders, which may be inside one top folder and below split folders; `layout` is one of LAYOUTS.
    An archive of one is extracted to `cache_dir`, once per content. Raises UserError if nothing is there, it cannot be
    read, is damaged or unsafe, or does not have at least two classes with photos.
    """
    if layout != AUTO and is_manifest(str(path)):
        raise UserError(f"--layout {layout} is for folders, and {str(path)!r} is a manifest: remove --layout")
    cache_dir = Path(cache_dir).expanduser()
    if is_remote(str(path)):
        return _scan_remote(str(path), cache_dir, layout)
    source = Path(path).expanduser()
    try:
        if source.is_dir():
            listing = list_folder(source)
            tables, photos = find_split_tables(listing) if layout == AUTO else ({}, [])
            if tables:
                return scan_split_tables(str(source), tables, photos, str(path))
            return photo_set_of(listing, source.resolve().name, str(path), layout)
        if source.is_file() and is_manifest(source.name):
            return scan_manifest(str(source), str(path))
        if source.is_file():
            _check_is_no_table(source.name, str(path))
            return _scan_archive(source, cache_dir, layout)
    except OSError as error:
        raise UserError(f"cannot read photos from {str(path)!r}: {error.strerror}: {error.filename!r}") from error
    raise _nothing_at(str(path))


def _scan_remote(uri: str, cache_dir: Path, layout: str) -> PhotoSet:
    name = PurePosixPath(uri).name
    if is_manifest(name):
        return scan_manifest(uri, uri)
    _check_is_no_table(name, uri)
    if name.lower().endswith(_ARCHIVE_SUFFIXES):
        with tempfile.TemporaryDirectory(prefix="photos-") as folder:
            archive = Path(folder) / name
            with storage_errors(f"cannot read photos from {uri!r}"):
                archive.write_bytes(read_object(uri))
            return _scan_archive(archive, cache_dir, layout)
    with storage_errors(f"cannot read photos from {uri!r}"):
        versions = dict(list_objects(uri))
    if not versions:
        raise _nothing_at(uri)
    return photo_set_of(FolderListing(uri.rstrip("/"), tuple(versions), versions=versions), name, uri, layout)


def _check_is_no_table(name: str, path: str) -> None:
    if (suffix := PurePosixPath(name).suffix.lower()) in _OTHER_TABLES:
        how = "write one JSON object a line to a .jsonl" if suffix == ".json" else "save it as CSV (UTF-8)"
        raise UserError(f"a table of photos must be .csv or .jsonl, received {path!r}: {how}")


def _nothing_at(path: str) -> UserError:
    return UserError(
        f"no photos at {path!r}: expected a folder of class-named folders, a .tgz or .zip of one, or a manifest (.csv "
        "or .jsonl)"
    )


def _scan_archive(archive: Path, cache_dir: Path, layout: str) -> PhotoSet:
    """Extracts an archive, unless an intact copy of its content is there, and scans it."""
    name = archive.name
    name = next((name[: -len(suffix)] for suffix in _ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), name)
    folder = cache_dir / "unpacked" / file_digest(archive)
    incomplete, record_path = folder.with_suffix(".incomplete"), folder.with_suffix(".json")
    with exclusive_lock(cache_dir / "unpacked.lock"):
        if intact := _intact_copy(folder, record_path, name, str(archive), layout):
            return intact
        for leftover in (folder, *folder.parent.glob("*.incomplete")):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            not_extracted = extract_archive(archive, incomplete, is_photo)
            incomplete.rename(folder)
        finally:
            shutil.rmtree(incomplete, ignore_errors=True)
        photo_set = _scan_extracted(folder, name, str(archive), not_extracted, layout)
        record = {"fingerprint": photo_set.fingerprint, "left_out": not_extracted, "suffixes": ACCEPTED_SUFFIXES}
        write_atomically(record_path, json.dumps(record))
        return photo_set


def _intact_copy(folder: Path, record_path: Path, name: str, archive: str, layout: str) -> PhotoSet | None:
    """Returns the photos that an earlier run extracted, if this run would extract the same."""
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        fingerprint, not_extracted, suffixes = record["fingerprint"], record["left_out"], record["suffixes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Other versions of this project accept other suffixes.
    if suffixes != list(ACCEPTED_SUFFIXES) or not folder.is_dir():
        return None
    photo_set = _scan_extracted(folder, name, archive, not_extracted, layout)
    return photo_set if photo_set.fingerprint == fingerprint else None


def _scan_extracted(folder: Path, name: str, source: str, not_extracted: Sequence[str], layout: str) -> PhotoSet:
    listing = replace(
        list_folder(folder),
        not_extracted=tuple(path for path in not_extracted if not path.endswith("/")),
        empty_folders=tuple(path for path in not_extracted if path.endswith("/")),
    )
    return photo_set_of(listing, name, source, layout)
