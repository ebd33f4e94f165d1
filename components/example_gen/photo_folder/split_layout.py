"""Photo folders that come split: train, validation and test folders above the class folders."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from components.common.contracts import SPLITS, TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.common.errors import UserError

SPLIT_NAMES: Final = {
    "train": TRAIN_SPLIT,
    "val": VALIDATION_SPLIT,
    "valid": VALIDATION_SPLIT,
    "validation": VALIDATION_SPLIT,
    "test": TEST_SPLIT,
}


def find_split_folders(folders: Iterable[str], photos: Iterable[str], source: str) -> dict[str, str]:
    """Finds the top folders that are splits.

    Several are called like splits, and photos lie in class folders below them. Photos directly in a folder called
    train make it a class of means of transport.

    Args:
        folders: Names of all top folders.
        photos: Paths relative to the folder that holds the top folders.
        source: What the error calls that folder.

    Returns:
        {folder: split} in the order of the splits; empty when the top folders are classes.

    Raises:
        UserError: There are splits, but no train.
    """
    found = {folder: SPLIT_NAMES[folder.lower()] for folder in sorted(folders) if folder.lower() in SPLIT_NAMES}
    if len(found) < 2:  # noqa: PLR2004  (of one alone nobody knows what it means)
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


def describe_layout(split_folders: Mapping[str, str], splits: Iterable[str]) -> str:
    """Returns one line for the user; empty when the top folders are classes.

    Args:
        split_folders: From `find_split_folders`.
        splits: The splits that have photos.
    """
    own = set(splits)
    if not split_folders:
        return ""
    kept = [
        f"{folder}/" if folder.lower() == split else f"{folder}/ ({split})"
        for folder, split in split_folders.items()
        if split in own
    ]
    return f"Split folders are kept: {', '.join(kept)}{describe_missing_splits(own)}"


def describe_missing_splits(splits: Collection[str]) -> str:
    """Returns the end of a line on the splits that are not there; empty when all are."""
    missing = [split for split in SPLITS if split not in splits]
    return f"; {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} cut from train" if missing else ""
