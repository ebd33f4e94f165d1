"""The photo set that the files of a folder are, wherever the folder is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from components.common.errors import UserError
from components.contracts import TRAIN_SPLIT
from components.photos.convert import ACCEPTED_SUFFIXES
from components.photos.photo_set import (
    PhotoFile,
    PhotoSet,
    describe_left_out,
    files_below,
    find_class_names,
    find_class_root,
    find_left_out,
    fingerprint_of,
    is_hidden,
)
from components.photos.splits import describe_layout, find_split_folders


@dataclass(frozen=True)
class FoundFiles:
    """All files of a folder.

    Attributes:
        folder: Its path or URI.
        class_root: Where in it the class folders are, or the split folders above them; empty or ending in /.
        top_folders: The names of the folders there.
        files: Paths below `folder`.
        unreadable: Those of them that are no files after all, such as broken links.
        versions: What changes with a file's content, where a listing tells.
    """

    folder: str
    class_root: str
    top_folders: tuple[str, ...]
    files: tuple[str, ...] = field(repr=False)
    unreadable: frozenset[str] = frozenset()
    versions: Mapping[str, str] = field(default_factory=dict, repr=False)


def is_photo(path: PurePosixPath) -> bool:
    """Tells by its path whether a file is a photo."""
    return path.suffix.lower() in ACCEPTED_SUFFIXES and not any(is_hidden(part) for part in path.parts)


def find_local_files(folder: Path) -> FoundFiles:
    """Lists a folder on this machine.

    Args:
        folder: The folder.
    """
    root = find_class_root(folder, is_photo)
    files = tuple(files_below(folder, root))
    return FoundFiles(
        folder=str(folder),
        class_root="" if root == folder else f"{root.relative_to(folder).as_posix()}/",
        top_folders=tuple(entry.name for entry in root.iterdir() if entry.is_dir()),
        files=files,
        unreadable=frozenset(file for file in files if is_photo(PurePosixPath(file)) and not (folder / file).is_file()),
    )


def photo_set_of(found: FoundFiles, name: str, source: str) -> PhotoSet:
    """Finds classes, splits and photos among files.

    Args:
        found: The files.
        name: What the photo set is called.
        source: What messages call it.

    Raises:
        UserError: There are no photos in class folders, fewer than two classes, or splits without train.
    """
    class_root = found.class_root
    below = sorted(file.removeprefix(class_root) for file in found.files if file.startswith(class_root))
    photos = tuple(
        file
        for file in below
        if "/" in file and is_photo(PurePosixPath(file)) and class_root + file not in found.unreadable
    )
    split_folders = find_split_folders(found.top_folders, photos, source)
    if split_folders:
        photos = tuple(photo for photo in photos if photo.count("/") > 1 and photo.split("/")[0] in split_folders)
    used = (class_root + photo for photo in photos)
    left_out = find_left_out(found.files, used, class_root, split_folders, ACCEPTED_SUFFIXES)
    if not photos:
        others = "".join(f"; {line}" for line in [describe_left_out(left_out)] if line)
        kinds = ", ".join(ACCEPTED_SUFFIXES)
        raise UserError(f"no photos in the folders of {source!r}: expected CLASS/PHOTO with one of {kinds}{others}")
    root = f"{found.folder}/{class_root}".rstrip("/")
    parts = ((photo, photo.split("/", 2)) for photo in photos)
    photo_files = tuple(
        PhotoFile(
            path=photo,
            file=f"{root}/{photo}",
            class_name=names[bool(split_folders)],
            split=split_folders.get(names[0], TRAIN_SPLIT),
            version=found.versions.get(class_root + photo, ""),
        )
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
