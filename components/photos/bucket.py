"""Photos in a bucket: listed from where they are; only archives are copied to this machine, to be unpacked."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from components.common.errors import UserError, reason_of
from components.photos.folder import FoundFiles, is_photo
from components.photos.photo_set import is_hidden
from components.storage import remote_files


def learn_s3() -> None:
    """Lets TFX read and write s3:// by this project's file operations, where boto3 is installed."""
    from components.storage import s3_filesystem

    with contextlib.suppress(ImportError):
        s3_filesystem.register()


@contextlib.contextmanager
def reading_photos(uri: str) -> Iterator[None]:
    """Makes what a bucket answers one line.

    Args:
        uri: What is read inside.

    Raises:
        UserError: It cannot be read.
    """
    try:
        yield
    except Exception as error:
        # Of TensorFlow's file operations, if they were used.
        tensorflow = sys.modules.get("tensorflow")
        if not isinstance(error, (OSError, tensorflow.errors.OpError) if tensorflow else OSError):
            raise
        raise UserError(f"cannot read photos from {uri!r}: {reason_of(error)}") from error


def find_files(uri: str) -> FoundFiles:
    """Lists a folder of photos.

    Args:
        uri: Its URI.

    Raises:
        UserError: Nothing is there, or it cannot be read.
    """
    with reading_photos(uri):
        versions = dict(remote_files.files_below(uri))
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
        with reading_photos(uri):
            archive.write_bytes(remote_files.read_file(uri))
        yield archive
