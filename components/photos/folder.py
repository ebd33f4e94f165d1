"""The photos in a local folder or a bucket: class folders, which may be below split folders or a single top folder."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from components.common.errors import UserError
from components.contracts import SPLITS, TRAIN_SPLIT
from components.contracts.quarantine import Reason
from components.photos.formats import ACCEPTED_SUFFIXES
from components.photos.photo_set import PhotoFile, PhotoSet, UnusedFile, describe_unused, make_photo_set
from components.photos.splits import describe_missing_splits, split_of_name


@dataclass(frozen=True)
class FolderListing:
    """All files of a folder, by their paths relative to it."""

    folder: str  # its path or URI
    files: tuple[str, ...] = field(repr=False)  # that of a link to a folder ends in /
    empty_folders: tuple[str, ...] = ()  # ending in /
    not_extracted: tuple[str, ...] = ()  # further files, in the archive that the folder was extracted from
    unreadable: frozenset[str] = frozenset()  # such as broken links
    versions: Mapping[str, str] = field(default_factory=dict, repr=False)  # of objects in a bucket; see `PhotoFile`


def is_hidden(name: str) -> bool:
    """Tells by its name whether a file or folder is hidden."""
    return name.startswith(".") or name == "__MACOSX"


def is_photo(path: str) -> bool:
    """Tells by its relative path whether a file is a photo."""
    return _has_photo_suffix(path) and not path.endswith("/") and not any(map(is_hidden, path.split("/")))


def _has_photo_suffix(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in ACCEPTED_SUFFIXES


def find_class_root(paths: Collection[str]) -> str:
    """Returns the folder of the class folders, such as "flower_photos/", or ""; folders in `paths` end in /."""
    root = ""
    while True:
        folders = _top_folders(_below(root, paths))
        if len(folders) != 1:
            return root
        inside = _below(root + folders[0], paths)
        if not any("/" in path for path in inside) or any("/" not in path and is_photo(path) for path in inside):
            return root
        root += folders[0]


def _below(folder: str, paths: Iterable[str]) -> list[str]:
    return [path.removeprefix(folder) for path in paths if path.startswith(folder)]


def _top_folders(paths: Iterable[str], hidden: bool = False) -> list[str]:
    names = dict.fromkeys(path.partition("/")[0] for path in paths if "/" in path)
    return [f"{name}/" for name in names if hidden or not is_hidden(name)]


def list_folder(folder: Path) -> FolderListing:
    """Lists a folder on this machine, without following links to folders, except for a single top folder."""
    files, empty = _list(folder, "")
    while True:
        root = find_class_root([*files, *empty])
        tops = [root + name for name in _top_folders(_below(root, [*files, *empty]))]
        if len(tops) != 1 or tops[0] not in files:  # Anything but a single link.
            break
        inside, empty_inside = _list(folder, tops[0])
        if not any("/" in path for path in _below(tops[0], [*inside, *empty_inside])):
            break
        files.remove(tops[0])
        files, empty = [*files, *inside], [*empty, *empty_inside]
    unreadable = frozenset(path for path in files if is_photo(path) and not (folder / path).is_file())
    return FolderListing(str(folder), tuple(files), tuple(empty), unreadable=unreadable)


def _list(folder: Path, below: str) -> tuple[list[str], list[str]]:
    """Returns the files and the empty folders below a subfolder, relative to `folder`."""
    files: list[str] = []
    empty: list[str] = []

    def fail(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder / below, onerror=fail):
        relative = Path(parent).relative_to(folder).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        files += [prefix + name for name in names]
        files += [f"{prefix}{name}/" for name in folders if (Path(parent) / name).is_symlink()]
        if prefix and not folders and not names:
            empty.append(prefix)
    return files, empty


def photo_set_of(listing: FolderListing, name: str, source: str) -> PhotoSet:
    """Finds classes, splits and photos; raises UserError for fewer than two classes with photos, or a missing train."""
    paths = [*listing.files, *listing.empty_folders]
    class_root = find_class_root(paths)
    below = _below(class_root, paths)
    photos = sorted(path for path in below if "/" in path and is_photo(path))
    photos = [photo for photo in photos if class_root + photo not in listing.unreadable]
    split_folders = _find_split_folders((folder[:-1] for folder in _top_folders(below, hidden=True)), photos, source)
    if split_folders:
        photos = [photo for photo in photos if photo.count("/") > 1 and photo.split("/")[0] in split_folders]
    used = {class_root + photo for photo in photos}
    others = sorted({*listing.files, *listing.not_extracted} - used)
    unused = [UnusedFile(path, _why_unused(path, class_root, split_folders)) for path in others]
    if not photos:
        also = f"; {describe_unused(unused)}" if unused else ""
        kinds = ", ".join(ACCEPTED_SUFFIXES)
        raise UserError(f"no photos in the folders of {source!r}: expected CLASS/PHOTO with one of {kinds}{also}")
    root = f"{listing.folder}/{class_root}".rstrip("/")
    files = []
    for photo in photos:
        top, *folders = photo.split("/")
        class_name, split = (folders[0], split_folders[top]) if split_folders else (top, TRAIN_SPLIT)
        version = listing.versions.get(class_root + photo, "")
        files.append(PhotoFile(photo, f"{root}/{photo}", class_name, split, version=version))
    layout = _describe_layout(split_folders, {file.split for file in files})
    return make_photo_set(source, name, files, unused, layout)


def _why_unused(path: str, class_root: str, split_folders: Mapping[str, str]) -> Reason:
    folders = path.removeprefix(class_root).split("/")[:-1]
    if any(map(is_hidden, path.split("/"))):
        return Reason.HIDDEN
    if path.endswith("/"):
        return Reason.NO_REGULAR_FILE
    is_in_class = path.startswith(class_root) and len(folders) > bool(split_folders)
    if not is_in_class or (split_folders and folders[0] not in split_folders):
        return Reason.OUTSIDE_CLASS_FOLDERS
    return Reason.NO_REGULAR_FILE if _has_photo_suffix(path) else Reason.UNSUPPORTED_SUFFIX


def _find_split_folders(folders: Iterable[str], photos: Iterable[str], source: str) -> dict[str, str]:
    """Returns {folder: split} of the top folders that are splits, in the order of the splits; UserError without train.

    At least two have the name of a split, and the photos are in class folders below them: photos directly in a folder
    called train make it a class (vehicles).
    """
    found = {folder: split for folder in sorted(folders) if (split := split_of_name(folder))}
    if len(found) < 2:  # noqa: PLR2004  (a single one may be a class)
        return {}
    parents = {PurePosixPath(photo).parts[:-1][:2] for photo in photos}
    direct = {parent[0] for parent in parents if len(parent) == 1}
    with_classes = {parent[0] for parent in parents if len(parent) > 1}
    if TRAIN_SPLIT not in found.values():
        if with_classes <= set(found) and with_classes and not direct:
            names = ", ".join(sorted(found))
            raise UserError(f"{source!r} has the split folders {names} but no train: please add it, or rename them")
        return {}
    train = {folder for folder, split in found.items() if split == TRAIN_SPLIT}
    if not train & with_classes or train & direct:
        return {}
    return dict(sorted(found.items(), key=lambda item: SPLITS.index(item[1])))


def _describe_layout(split_folders: Mapping[str, str], splits: Collection[str]) -> str:
    if not split_folders:
        return ""
    kept = [
        f"{folder}/" if folder.lower() == split else f"{folder}/ ({split})"
        for folder, split in split_folders.items()
        if split in splits
    ]
    return f"Split folders are kept: {', '.join(kept)}{describe_missing_splits(splits)}"
