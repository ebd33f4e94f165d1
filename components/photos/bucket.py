"""Photos in a bucket: listed from where they are; only archives are copied to this machine, to be unpacked."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from components.common.errors import UserError, storage_errors
from components.photos.folder import FoundFiles, is_photo
from components.photos.photo_set import is_hidden
from components.storage.objects import list_objects, read_object


def find_files(uri: str) -> FoundFiles:
    """Lists a folder of photos.

    Args:
        uri: Its URI.

    Raises:
        UserError: Nothing is there, or it cannot be read.
    """
    with storage_errors(f"cannot read photos from {uri!r}"):
        versions = dict(list_objects(uri))
    if not versions:
        raise UserError(
            f"no photos at {uri!r}: expected a folder of class-named folders, a .tgz or .zip of one, or a manifest "
            "(.csv or .jsonl)"
        )
    class_root = _find_class_root(versions)
    below = (file.removeprefix(class_root) for file in versions if file.startswith(class_root))
    folders = dict.fromkeys(file.partition("/")[0] for file in below if "/" in file)
    return FoundFiles(uri.rstrip("/"), class_root, tuple(folders), tuple(versions), versions=versions)


def _find_class_root(files: dict[str, str]) -> str:
    """Steps into single top-level folders, as `folder_files.find_class_root` does on this machine."""
    root = ""
    while True:
        below = [file.removeprefix(root) for file in files if file.startswith(root)]
        folders = {file.partition("/")[0] for file in below if "/" in file}
        seen = [folder for folder in folders if not is_hidden(folder)]
        if len(seen) != 1:
            return root
        inside = [file.partition("/")[2] for file in below if file.startswith(f"{seen[0]}/")]
        if not any("/" in file for file in inside) or any(
            is_photo(PurePosixPath(file)) for file in inside if "/" not in file
        ):
            return root
        root += f"{seen[0]}/"


@contextlib.contextmanager
def fetched_archive(uri: str) -> Iterator[Path]:
    """Copies an archive to this machine, for as long as it is looked at.

    Args:
        uri: Its URI.

    Raises:
        UserError: Nothing is there, or it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="photos-") as folder:
        archive = Path(folder) / PurePosixPath(uri).name
        with storage_errors(f"cannot read photos from {uri!r}"):
            archive.write_bytes(read_object(uri))
        yield archive
