"""Splits in which every class has its share.

Pure functions: no TFDS, no Beam.
"""

import hashlib
import itertools
import os
from collections.abc import Iterable, Mapping
from typing import Final

from components.common.contracts import TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.example_gen.photo_folder.photo_set import PhotoFile

Counts = dict[str, dict[str, int]]  # {class: {split: photos}}

# Which splits a class is in that has fewer photos than there are splits.
_PRIORITY: Final = (TRAIN_SPLIT, TEST_SPLIT, VALIDATION_SPLIT)


def stratify(photos: Iterable[PhotoFile], sizes: Mapping[str, int]) -> dict[str, list[PhotoFile]]:
    """Deals photos to splits, class by class; their paths alone decide.

    Args:
        photos: The photos.
        sizes: {split: how many photos}, in all as many as there are.

    Returns:
        {split: photos, sorted by path}, with these sizes, unless a class that has a photo for each split could not be
        in each.
    """
    by_class: dict[str, list[PhotoFile]] = {}
    for photo in sorted(photos, key=lambda photo: path_hash(photo.path)):
        by_class.setdefault(photo.class_name, []).append(photo)
    counts = count_shares({name: len(by_class[name]) for name in sorted(by_class)}, sizes)
    dealt: dict[str, list[PhotoFile]] = {split: [] for split in sizes}
    for name, of_splits in counts.items():
        remaining = iter(by_class[name])
        for split, count in of_splits.items():
            dealt[split] += itertools.islice(remaining, count)
    return {split: sorted(photos, key=lambda photo: photo.path) for split, photos in dealt.items()}


def count_shares(class_sizes: Mapping[str, int], sizes: Mapping[str, int]) -> Counts:
    """Tells how many photos of each class each split gets.

    Args:
        class_sizes: {class: photos}.
        sizes: {split: photos}, of the same sum.

    Returns:
        {class: {split: photos}}: near each class's share, and a class that has a photo for each split is in each.
    """
    counts = _proportional(class_sizes, sizes)
    for name, size in sorted(class_sizes.items(), key=lambda item: -item[1]):
        for split in wanted_splits(size, sizes):
            if not counts[name][split]:
                _add(name, split, counts)
    return counts


def wanted_splits(number: int, sizes: Iterable[str]) -> list[str]:
    """Returns the splits that a class with so many photos, or groups of them, should be in, most important first."""
    return [split for split in _PRIORITY if split in sizes][:number]


def _proportional(class_sizes: Mapping[str, int], sizes: Mapping[str, int]) -> Counts:
    """Deals one photo after the other, class by class, to the split that lacks most of its share so far."""
    total, number = sum(sizes.values()), 0
    given = dict.fromkeys(sizes, 0)
    counts: Counts = {name: dict.fromkeys(sizes, 0) for name in class_sizes}
    for name, size in class_sizes.items():
        for _ in range(size):
            number += 1
            neediest = max(sizes, key=lambda split: sizes[split] * number - given[split] * total)
            given[neediest] += 1
            counts[name][neediest] += 1
    return counts


def _add(name: str, split: str, counts: Counts) -> None:
    """Moves a photo of a class to a split, and one of another class back.

    Where no class can spare one, a class with a photo for each split changes the sizes of the splits, and a smaller one
    stays out.
    """
    own = counts[name]
    size = sum(own.values())
    wanted = wanted_splits(size, own)
    source = max(own, key=lambda other: own[other] - (other in wanted))
    has_right = size >= len(own)

    def spares(other: str) -> bool:
        of_splits = counts[other]
        is_small = sum(of_splits.values()) < len(of_splits)
        return other != name and of_splits[split] > (0 if has_right and is_small else 1)

    givers = [other for other in counts if spares(other)]
    if givers:
        giver = max(givers, key=lambda other: counts[other][split])
        counts[giver][split] -= 1
        counts[giver][source] += 1
    elif not has_right:
        return
    own[source] -= 1
    own[split] += 1


def path_hash(path: str) -> bytes:
    """Returns what puts paths in an order that has nothing to do with them."""
    return hashlib.sha256(os.fsencode(path)).digest()
