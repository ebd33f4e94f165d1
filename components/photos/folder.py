"""The photos in a local folder or a bucket: class folders, which may be below split folders or a single top folder."""

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn

from components.common.errors import UserError
from components.common.text import counted, first_few
from components.contracts import SPLITS, TRAIN_SPLIT
from components.contracts.output_folder import is_output_folder
from components.contracts.quarantine import Reason
from components.photos.formats import ACCEPTED_SUFFIXES
from components.photos.manifest import is_manifest
from components.photos.photo_set import PhotoFile, PhotoSet, UnusedFile, count_kinds, describe_unused, make_photo_set
from components.photos.splits import AUTO, CLASSES, SPLITS_LAYOUT, describe_missing_splits, split_of_name


@dataclass(frozen=True)
class FolderListing:
    """All files of a folder, by their paths relative to it."""

    folder: str  # its path or URI
    files: tuple[str, ...] = field(repr=False)  # a link to a folder that is not followed ends in /
    empty_folders: tuple[str, ...] = ()  # ending in /
    not_extracted: tuple[str, ...] = ()  # further files, in the archive that the folder was extracted from
    unreadable: frozenset[str] = frozenset()  # such as broken links
    versions: Mapping[str, str] = field(default_factory=dict, repr=False)  # of objects in a bucket; see `PhotoFile`


def is_hidden(name: str) -> bool:
    """Tells by its name whether a file or folder is hidden."""
    return name.startswith(".") or name == "__MACOSX"


def _in_hidden(path: str) -> bool:
    return any(map(is_hidden, path.split("/")))


def is_photo(path: str) -> bool:
    """Tells by its relative path whether a file is a photo."""
    return _has_photo_suffix(path) and not path.endswith("/") and not _in_hidden(path)


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


def _top_folders(paths: Iterable[str]) -> list[str]:
    names = dict.fromkeys(path.partition("/")[0] for path in paths if "/" in path)
    return [f"{name}/" for name in names if not is_hidden(name)]


def list_folder(folder: Path) -> FolderListing:
    """Lists a folder on this machine, without output folders of runs in it; UserError if it is one itself.

    Follows a link to a folder, except to one that is listed anyway or that holds the link.
    """
    files: list[str] = []
    empty: list[str] = []
    listed = [os.path.realpath(folder)]

    def fail(error: OSError) -> None:
        raise error

    def is_followed(path: Path) -> bool:
        if not path.is_symlink():
            return True
        target = os.path.realpath(path)
        if is_hidden(path.name) or any(os.path.commonpath((target, known)) in (target, known) for known in listed):
            return False
        listed.append(target)
        return True

    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        relative = Path(parent).relative_to(folder).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        if is_output_folder(folders, names):
            if not prefix:
                raise UserError(f"{str(folder)!r} is the --output of runs: give them another folder than the photos'")
            folders.clear()
            continue
        if prefix and not folders and not names:
            empty.append(prefix)
        followed = [name for name in sorted(folders) if is_followed(Path(parent, name))]
        files += [f"{prefix}{name}/" for name in folders if name not in followed]
        files += [prefix + name for name in names]
        folders[:] = followed
    unreadable = frozenset(path for path in files if is_photo(path) and not (folder / path).is_file())
    return FolderListing(str(folder), tuple(files), tuple(empty), unreadable=unreadable)


def find_split_tables(listing: FolderListing) -> tuple[dict[str, str], list[str]]:
    """Returns {table: split} and the photos, if all photos are directly in split folders that have a table each."""
    photos = sorted(path for path in listing.files if is_photo(path))
    folders = {path.rpartition("/")[0] for path in photos}
    splits = {folder: split for folder in folders if (split := split_of_name(PurePosixPath(folder).name))}
    if len(splits) < len(folders):
        return {}, []
    tables = _label_tables(listing)
    of_folders = {folder: [table for table in tables if table.rpartition("/")[0] == folder] for folder in folders}
    if any(len(found) != 1 for found in of_folders.values()):
        return {}, []
    in_order = sorted(splits.items(), key=lambda item: (SPLITS.index(item[1]), item[0]))
    return {of_folders[folder][0]: split for folder, split in in_order}, photos


def photo_set_of(listing: FolderListing, name: str, source: str, layout: str = AUTO) -> PhotoSet:
    """Finds classes, splits and photos; `layout` is one of LAYOUTS.

    Raises UserError for fewer than two classes with photos, a missing train, or folders that may be splits or classes.
    """
    paths = [*listing.files, *listing.empty_folders]
    class_root = find_class_root(paths)
    photos = sorted(path for path in _below(class_root, paths) if "/" in path and is_photo(path))
    photos = [photo for photo in photos if class_root + photo not in listing.unreadable]
    split_roots = _find_split_roots(class_root, paths, photos, source, layout)
    if layout == AUTO and not split_roots:
        _check_classes(photos, listing, source)
    roots = split_roots or {"": TRAIN_SPLIT}
    folder = f"{listing.folder}/{class_root}".rstrip("/")
    files = []
    for photo in photos:
        root, class_name, inner = _parts(photo, roots)
        if inner:
            version = listing.versions.get(class_root + photo, "")
            files.append(PhotoFile(photo, f"{folder}/{photo}", class_name, roots[root], version=version))
    used = {class_root + file.path for file in files}
    others = sorted({*listing.files, *listing.not_extracted} - used)
    unused = [UnusedFile(path, _why_unused(path, class_root, roots)) for path in others]
    if not files:
        also = f"; {describe_unused(unused)}" if unused else ""
        kinds = ", ".join(ACCEPTED_SUFFIXES)
        raise UserError(f"no photos in the folders of {source!r}: expected CLASS/PHOTO with one of {kinds}{also}")
    if layout == AUTO and len({file.class_name for file in files}) == 1 and _label_files(listing):
        _refuse_without_classes(photos, listing, source)
    remarks = [
        _describe_unused_folders([photo for photo in photos if class_root + photo not in used]),
        _describe_ignored_folders(files, roots),
        _describe_folders_without_photos(listing.empty_folders, unused, files, class_root, roots),
    ]
    found_layout = _describe_layout(split_roots, {file.split for file in files})
    return make_photo_set(source, name, files, unused, found_layout, remarks=filter(None, remarks))


def _parts(path: str, roots: Iterable[str]) -> tuple[str, str, str]:
    """Returns the root that a path is below, the class folder there and the rest; an empty rest without the latter."""
    root = next((root for root in roots if path.startswith(root)), None)
    class_name, _, inner = path.removeprefix(root or "").partition("/")
    return (root, class_name, inner) if root is not None else ("", "", "")


def _why_unused(path: str, class_root: str, roots: Iterable[str]) -> Reason:
    if _in_hidden(path):
        return Reason.HIDDEN
    if path.endswith("/"):
        return Reason.NO_REGULAR_FILE
    if not path.startswith(class_root) or not _parts(path.removeprefix(class_root), roots)[-1]:
        return Reason.OUTSIDE_CLASS_FOLDERS
    return Reason.NO_REGULAR_FILE if _has_photo_suffix(path) else Reason.UNSUPPORTED_SUFFIX


def _find_split_roots(
    class_root: str, paths: Iterable[str], photos: Sequence[str], source: str, layout: str
) -> dict[str, str]:
    """Returns {folder: split} of the folders of class folders, such as "train/", in the order of the splits.

    Unless `layout` tells, at least two top folders have the name of a split, and the photos of train are in class
    folders: photos directly in a folder called train make it a class (vehicles). Raises UserError without train.
    """
    tops = sorted(_top_folders(_below(class_root, paths)))
    found = {_split_root(top, split, photos): split for top in tops if (split := split_of_name(top))}
    if layout == CLASSES or (layout == AUTO and len(found) < 2):  # noqa: PLR2004  (a single one may be a class)
        return {}
    below = {root: _below(root, photos) for root in found}
    direct = {root for root, inside in below.items() if any("/" not in path for path in inside)}
    with_classes = {root for root, inside in below.items() if any("/" in path for path in inside)}
    train = {root for root, split in found.items() if split == TRAIN_SPLIT}
    if train & with_classes and (layout == SPLITS_LAYOUT or not train & direct):
        return dict(sorted(found.items(), key=lambda item: SPLITS.index(item[1])))
    if layout == SPLITS_LAYOUT and split_of_name(PurePosixPath(class_root).name) != TRAIN_SPLIT:
        raise UserError(f"{source!r} has no train/CLASS/PHOTO, as --layout splits expects: found {first_few(tops)}")
    if not train and not direct and sum(map(len, below.values())) == len(photos):
        names = first_few(sorted(with_classes))
        raise UserError(f"{source!r} has the split folders {names} but no train: add it, or --layout classes")
    return {}


def _split_root(top: str, split: str, photos: Iterable[str]) -> str:
    """Returns the folder of a split's class folders: in archives, train/train/ is frequent."""
    root = top
    while True:
        inside = _below(root, photos)
        folders = _top_folders(inside)
        if len(folders) != 1 or split_of_name(folders[0]) != split or any("/" not in path for path in inside):
            return root
        root += folders[0]


def _check_classes(photos: Iterable[str], listing: FolderListing, source: str) -> None:
    """Raises UserError if the top folders, which are to be classes, may be splits."""
    inner: dict[str, set[str]] = defaultdict(set)  # sub-folders
    for top, *folders in {tuple(photo.split("/")[:-1][:2]) for photo in photos}:
        inner[top].update(name for name in folders if not _is_same_split(name, top))
    tops = sorted(inner)
    like_splits = [top for top in tops if split_of_name(top)]
    shared = sorted(set.intersection(*filter(None, inner.values()))) if any(inner.values()) else []
    if like_splits and like_splits == tops and not any(inner.values()):
        end = f"; if {first_few(tops)} are classes, add --layout classes" if len(tops) > 1 else ""
        _refuse_without_classes(photos, listing, source, end)
    if len(nested := [f"{top}/{name}" for top in tops for name in sorted(inner[top]) if split_of_name(name)]) > 1:
        raise UserError(
            f"{source!r} has folders named like splits below other folders, {first_few(nested)}: give the folder that "
            "holds them as --photos, sort them into train/CLASS/PHOTO, or add --layout classes if "
            f"{first_few(tops)} are classes"
        )
    if len(like_splits) > 1 or (like_splits and len(tops) > 1 and len(inner[like_splits[0]]) > 1):
        raise UserError(
            f"{source!r} has folders that may be splits or classes, {first_few(tops)}: add --layout classes if all of "
            f"them are classes, or --layout splits to use only CLASS/PHOTO below {first_few(like_splits)}"
        )
    if len(shared) > 1 and sum(map(bool, inner.values())) > 1:
        raise UserError(
            f"{source!r} has the same sub-folders, {first_few(shared)}, in {first_few(tops)}: if those are splits, "
            "name them train, validation and test; if they are classes, add --layout classes"
        )


def _is_same_split(name: str, top: str) -> bool:
    split = split_of_name(name)
    return split is not None and split == split_of_name(top)


def _is_box_file(path: str) -> bool:
    return PurePosixPath(path).name.lower().startswith(("_annotations", "data.yaml"))


def _label_tables(listing: FolderListing) -> list[str]:
    """Returns the tables that may hold labels of whole photos, those of train first."""
    files = (*listing.files, *listing.not_extracted)
    tables = [path for path in files if is_manifest(path) and not _in_hidden(path) and not _is_box_file(path)]

    def is_train(path: str) -> bool:
        return any(split_of_name(part) == TRAIN_SPLIT for part in PurePosixPath(path).with_suffix("").parts)

    return sorted(tables, key=lambda path: (not is_train(path), path.count("/"), path))


def _label_files(listing: FolderListing) -> list[str]:
    """Returns the files that may hold labels: `_label_tables`, then those of object detection."""
    files = (*listing.files, *listing.not_extracted)
    return _label_tables(listing) + sorted(path for path in files if _is_box_file(path) and not _in_hidden(path))


def _refuse_without_classes(photos: Iterable[str], listing: FolderListing, source: str, end: str = "") -> NoReturn:
    parents = sorted({f"{PurePosixPath(photo).parent}/" for photo in photos})
    advice = "; sort them into CLASS folders, or give a table as --photos labels.csv, with the header path,label"
    if labels := _label_files(listing):
        advice = f"; {labels[0]} is not read: sort the photos into CLASS folders, or write a .csv with path,label"
        if not _is_box_file(labels[0]):
            unpack = "unpack the archive and " if labels[0] in listing.not_extracted else ""
            table = labels[0] if unpack else f"{source.rstrip('/')}/{labels[0]}"
            advice = f"; {labels[0]} may have their labels: {unpack}give --photos {table}"
    raise UserError(f"{source!r} has no class folders, its photos are directly in {first_few(parents)}{advice}{end}")


def _describe_layout(split_roots: Mapping[str, str], splits: Collection[str]) -> str:
    if not split_roots:
        return ""
    kept = [
        root if root.lower() == f"{split}/" else f"{root} ({split})"
        for root, split in split_roots.items()
        if split in splits
    ]
    return f"Split folders are kept: {', '.join(kept)}{describe_missing_splits(splits)}"


def _describe_unused_folders(photos: Iterable[str]) -> str:
    """Returns a line on photos beside or directly in split folders; empty without any."""
    counts: Counter[str] = Counter()
    labelled = set()
    for photo in photos:
        top, *inner = PurePosixPath(photo).parts[:-1]
        counts[top] += 1
        if any(name != top and not _is_same_split(name, top) for name in inner):
            labelled.add(top)
    named = [
        f"{counted(count, 'photo')} in {top}/{'' if top in labelled else ' (without labels: no class folders)'}"
        for top, count in sorted(counts.items())
    ]
    return f"Not used: {first_few(named)}" if named else ""


def _describe_ignored_folders(files: Iterable[PhotoFile], roots: Collection[str]) -> str:
    ignored = set()
    for file in files:
        root, class_name, inner = _parts(file.path, roots)
        if "/" in inner:
            ignored.add(f"{root}{class_name}/{inner.partition('/')[0]}")
    number = counted(len(ignored), "sub-folder")
    return f"Photos of {number} count for the class above: {first_few(sorted(ignored))}" if ignored else ""


def _describe_folders_without_photos(
    empty_folders: Iterable[str],
    unused: Iterable[UnusedFile],
    files: Iterable[PhotoFile],
    class_root: str,
    roots: Collection[str],
) -> str:
    class_names = {"", *(file.class_name for file in files)}
    found: dict[str, list[UnusedFile]] = defaultdict(list)
    for path, file in [*((path, None) for path in empty_folders), *((file.path, file) for file in unused)]:
        below = path.removeprefix(class_root) if path.startswith(class_root) else ""
        root, class_name, _ = _parts(below, roots)
        folder = f"{root}{class_name}/"
        if class_name not in class_names and below.startswith(folder) and not _in_hidden(below):
            found[folder] += [file] if file else []
    named = [f"{folder} ({count_kinds(inside) or 'empty'})" for folder, inside in sorted(found.items())]
    return f"Folders without photos are not classes: {first_few(named)}" if named else ""
