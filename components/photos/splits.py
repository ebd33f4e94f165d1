"""Which examples belong to train, validation and test, as TFDS slices or as hash buckets.

Pure functions: no TFDS, no Beam.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Final

from components.common.errors import UserError
from components.contracts import SPLITS, TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT

SPLIT_METHODS: Final = ("count", "hash")
DEFAULT_SPLIT_FRACTIONS: Final = (0.5, 0.25, 0.25)
HASH_BUCKETS: Final = 10_000


def check_split_fractions(fractions: Sequence[float]) -> tuple[Fraction, ...]:
    """Checks split fractions.

    Args:
        fractions: Shares of train, validation and test, each in (0, 1), summing to 1.

    Returns:
        The same numbers, exact: 0.1 is one tenth.

    Raises:
        UserError: There are not three, one is out of range, or they do not sum to 1.
    """
    try:
        exact = tuple(Fraction(str(fraction)) for fraction in fractions)
    except ValueError:
        exact = ()
    if len(exact) != len(SPLITS) or min(exact) <= 0 or sum(exact) != 1:
        received = ", ".join(str(fraction) for fraction in fractions)
        raise UserError(f"split fractions must be {', '.join(SPLITS)} above 0 and sum to 1, received {received}")
    return exact


def hash_buckets(fractions: Sequence[float]) -> dict[str, int]:
    """Returns how many of HASH_BUCKETS buckets each split gets.

    Args:
        fractions: See `check_split_fractions`.

    Returns:
        {split: buckets, at least 1}, in the order of the splits.

    Raises:
        UserError: The fractions are invalid, or one is below a hash bucket.
    """
    bounds = _boundaries(HASH_BUCKETS, check_split_fractions(fractions))
    buckets = {split: end - start for split, start, end in zip(SPLITS, bounds, bounds[1:], strict=False)}
    if min(buckets.values()) < 1:
        raise UserError(f"a split fraction must be at least {1 / HASH_BUCKETS}, received {list(fractions)}")
    return buckets


def split_slices(split_sizes: Mapping[str, int], fractions: Sequence[float]) -> dict[str, str]:
    """Maps train, validation and test to slices of a dataset's own splits.

    A dataset with one split is cut in three. A dataset with a test or validation split of its own keeps it, and what
    is missing is carved from the end of its train split, in the proportion the fractions have.

    Args:
        split_sizes: Number of examples of each split of the dataset. Splits besides train, validation and test (such
            as imagenet_resized' or stl10's unlabelled ones) are left unused.
        fractions: Shares of train, validation and test; see `check_split_fractions`.

    Returns:
        {split: TFDS slice such as "train[:1835]"}: disjoint, and covering the splits used.

    Raises:
        UserError: The fractions are invalid, or the dataset has several splits and none is called train.
    """
    source, ranges = carved_ranges(split_sizes, fractions)
    carved = {split: f"{source}[{start}:{end}]" for split, (start, end) in ranges.items()}
    return {split: carved.get(split, split) for split in SPLITS}


def carved_ranges(split_sizes: Mapping[str, int], fractions: Sequence[float]) -> tuple[str, dict[str, tuple[int, int]]]:
    """Tells which splits are carved from which of the dataset's own; see `split_slices`.

    Returns:
        The dataset's split, and {split: (start, end) of its examples} for train and those that are missing.
    """
    exact = dict(zip(SPLITS, check_split_fractions(fractions), strict=True))
    if len(split_sizes) == 1:
        source, own = next(iter(split_sizes)), set[str]()
    elif TRAIN_SPLIT in split_sizes:
        source, own = TRAIN_SPLIT, {VALIDATION_SPLIT, TEST_SPLIT} & set(split_sizes)
    else:
        raise UserError(f"the dataset has the splits {', '.join(sorted(split_sizes))} but no train split")
    carved = [split for split in SPLITS if split not in own]
    carved_total = sum(exact[split] for split in carved)
    bounds = _boundaries(split_sizes[source], [exact[split] / carved_total for split in carved])
    return source, dict(zip(carved, itertools.pairwise(bounds), strict=True))


def _boundaries(count: int, fractions: Sequence[Fraction]) -> list[int]:
    """Returns the cumulative shares of `count`, each rounded half up: 3670 halved and quartered is 1835/918/917."""
    bounds, cumulative = [0], Fraction(0)
    for fraction in fractions:
        cumulative += fraction
        bounds.append(int(count * cumulative + Fraction(1, 2)))
    return bounds


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
