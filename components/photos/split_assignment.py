"""Assigns a user's photos to train, validation and test by their paths, classes and groups, before any is read.

The assignment is deterministic, and an edit here must not change it: photos would move between the splits of existing
users. (scikit-learn's StratifiedGroupKFold makes folds of equal size only.)
"""

import hashlib
import itertools
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from components.common.errors import UserError
from components.contracts import TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.photos.photo_set import PhotoFile, PhotoSet
from components.photos.splits import carved_ranges, describe_unused_fractions

Splits = dict[str, list[PhotoFile]]
Counts = dict[str, dict[str, int]]  # {class: {split: photos}}

# The splits of a class that has fewer photos, or groups, than there are splits.
_PRIORITY: Final = (TRAIN_SPLIT, TEST_SPLIT, VALIDATION_SPLIT)
_REGEX_CHARACTERS: Final = re.compile(r"[\\\[\](){}*+?|^$]")
# Beside the photos of each class, a group counts all of them under this name.
_ALL: Final = ""


@dataclass(frozen=True)
class SplitPhotos:
    """Photos, the splits that have any, and remarks for the user on how they were split."""

    photo_set: PhotoSet
    splits: Mapping[str, Sequence[PhotoFile]]
    remarks: tuple[str, ...] = ()


def split_photos(photo_set: PhotoSet, fractions: Sequence[float] | None, group_by: str) -> SplitPhotos:
    """Splits photos: splits that they come with are kept, the others are cut from train by class or by group.

    Without `fractions` nothing is cut. `group_by` is described in `find_groups`, which may raise UserError.
    """
    groups = find_groups(photo_set.files, group_by, photo_set.source) if group_by else None
    splits: Splits = defaultdict(list)
    for photo in photo_set.files:
        splits[photo.split].append(photo)
    remarks = [groups.remark] if groups else []
    if fractions:
        remarks += filter(None, [describe_unused_fractions(splits, fractions)])
        source, ranges = carved_ranges({split: len(photos) for split, photos in splits.items()}, fractions)
        sizes = {split: end - start for split, (start, end) in ranges.items()}
        photos = splits[source]
        splits |= assign_groups(photos, groups.group_of, sizes) if groups else stratify(photos, sizes)
    return SplitPhotos(photo_set, {split: photos for split, photos in splits.items() if photos}, tuple(remarks))


def stratify(photos: Iterable[PhotoFile], sizes: Mapping[str, int]) -> Splits:
    """Assigns photos to splits class by class, in the order of a hash of their paths; see `count_shares`."""
    by_class: Splits = defaultdict(list)
    for photo in sorted(photos, key=lambda photo: _path_hash(photo.path)):
        by_class[photo.class_name].append(photo)
    counts = count_shares({name: len(by_class[name]) for name in sorted(by_class)}, sizes)
    assigned: Splits = {split: [] for split in sizes}
    for name, of_splits in counts.items():
        remaining = iter(by_class[name])
        for split, count in of_splits.items():
            assigned[split] += itertools.islice(remaining, count)
    return _sorted_by_path(assigned)


def count_shares(class_sizes: Mapping[str, int], sizes: Mapping[str, int]) -> Counts:
    """Returns how many photos of each class each split gets, near its share; both sizes have the same sum.

    Splits have other sizes only where a class with a photo for each split could otherwise not be in each.
    """
    counts = _proportional(class_sizes, sizes)
    for name, size in sorted(class_sizes.items(), key=lambda item: -item[1]):
        for split in _wanted_splits(size, sizes):
            if not counts[name][split]:
                _add(name, split, counts)
    return counts


def _wanted_splits(number: int, sizes: Iterable[str]) -> list[str]:
    """Returns the splits that a class with this number of photos or groups should be in, most important first."""
    return [split for split in _PRIORITY if split in sizes][:number]


def _proportional(class_sizes: Mapping[str, int], sizes: Mapping[str, int]) -> Counts:
    """Assigns one photo after the other, class by class, to the split that lacks most of its share so far."""
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

    If no class can spare one, only a class with a photo for each split moves there, which changes the splits' sizes.
    """
    own = counts[name]
    size = sum(own.values())
    wanted = _wanted_splits(size, own)
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


@dataclass(frozen=True)
class Grouping:
    """The group of each photo, by path, and one line on their number."""

    group_of: Mapping[str, str]
    remark: str


def find_groups(photos: Sequence[PhotoFile], group_by: str, source: str) -> Grouping:
    """Finds the groups of photos; a photo without a group is one by itself.

    `group_by` is a column of the manifest, or a regular expression searched in paths, whose brackets or, without
    brackets, whole match names the group. Raises UserError for an unknown column, an expression that is invalid or
    matches nothing, or a group in several of the splits that the photos come with.
    """
    columns = dict.fromkeys(column for photo in photos for column in photo.columns)
    if group_by in columns:
        names = [photo.columns.get(group_by, "").strip() for photo in photos]
    elif columns and not _REGEX_CHARACTERS.search(group_by):
        raise UserError(f"{source!r} has no column {group_by!r} to group by: found {', '.join(columns)}")
    else:
        names = _search(photos, group_by)
    groups = {name for name in names if name}
    if not groups:
        raise UserError(f"--group-by {group_by!r} matches no path in {source!r}, such as {photos[0].path!r}")
    # A NUL is in no path and so in no other name.
    group_of = {photo.path: name or f"\0{photo.path}" for photo, name in zip(photos, names, strict=True)}
    _check_splits(photos, group_of)
    alone = names.count("")
    without = f"; {alone:,} {'photo is' if alone == 1 else 'photos are'} in no group" if alone else ""
    number = "1 group" if len(groups) == 1 else f"{len(groups):,} groups"
    remark = f"Photos of one group stay in one split ({group_by}): {number}{without}; split sizes are approximate"
    return Grouping(group_of, remark)


def _search(photos: Iterable[PhotoFile], expression: str) -> list[str]:
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise UserError(f"--group-by {expression!r} is not a regular expression: {error}") from None
    matches = (compiled.search(photo.path) for photo in photos)
    return ["/".join(part or "" for part in match.groups() or [match[0]]) if match else "" for match in matches]


def _check_splits(photos: Iterable[PhotoFile], group_of: Mapping[str, str]) -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        splits[group_of[photo.path]].add(photo.split)
    torn = sorted(group for group, found in splits.items() if len(found) > 1)
    if torn:
        groups = "1 group is" if len(torn) == 1 else f"{len(torn):,} groups are"
        raise UserError(
            f"{groups} in several of the given splits, such as {torn[0]!r} in {' and '.join(sorted(splits[torn[0]]))}: "
            "fix the splits, or remove --group-by"
        )


def assign_groups(photos: Iterable[PhotoFile], group_of: Mapping[str, str], sizes: Mapping[str, int]) -> Splits:
    """Assigns whole groups (by path) to splits, large ones first, each to the split that lacks most of its classes.

    The splits get about `sizes` photos, and each class about its share; a class with a group for each split is in each,
    where that takes none from another class. Raises UserError if there are too few groups for the splits.
    """
    members: Splits = defaultdict(list)
    for photo in sorted(photos, key=lambda photo: photo.path):
        members[group_of[photo.path]].append(photo)
    if len(members) < len(sizes):
        groups = "there is 1 group" if len(members) == 1 else f"there are {len(members)} groups"
        raise UserError(f"{groups} for {len(sizes)} splits: each split needs one of its own")
    counts = {
        group: Counter(photo.class_name for photo in found) + Counter({_ALL: len(found)})
        for group, found in members.items()
    }
    split_of = _choose_splits(counts, sizes)
    _spread_classes(counts, split_of, sizes)
    assigned: Splits = {split: [] for split in sizes}
    for group, split in split_of.items():
        assigned[split] += members[group]
    for split, found in assigned.items():
        if not found:
            raise UserError(f"no group is left for {split}: every class has too few groups; choose smaller groups")
    return _sorted_by_path(assigned)


def _choose_splits(counts: Mapping[str, Counter[str]], sizes: Mapping[str, int]) -> dict[str, str]:
    """Returns the split of each group: the one where it reduces the squared distance to the wanted counts most."""
    totals: Counter[str] = Counter()
    for own in counts.values():
        totals += own
    photos = totals[_ALL]
    wanted = {split: {name: total * size / photos for name, total in totals.items()} for split, size in sizes.items()}
    lacking = {split: dict(shares) for split, shares in wanted.items()}
    preference = _wanted_splits(len(sizes), sizes)
    split_of = {}
    for group in sorted(counts, key=lambda group: (-counts[group][_ALL], _path_hash(group))):
        own = counts[group]

        def gain(split: str, own: Counter[str] = own) -> float:
            shares = wanted[split]
            return sum(n * (2 * lacking[split][name] - n) / shares[name] for name, n in own.items() if shares[name])

        split_of[group] = max(preference, key=gain)
        for name, number in own.items():
            lacking[split_of[group]][name] -= number
    return split_of


def _spread_classes(counts: Mapping[str, Counter[str]], split_of: dict[str, str], sizes: Mapping[str, int]) -> None:
    """Moves small groups to the splits that lack a class, as long as no split loses a class that it should have."""
    groups_of: dict[str, list[str]] = defaultdict(list)
    for group in sorted(counts, key=lambda group: (counts[group][_ALL], _path_hash(group))):
        for name in counts[group]:
            groups_of[name].append(group)
    present = Counter((split_of[group], name) for group in counts for name in counts[group])

    def can_leave(group: str) -> bool:
        split = split_of[group]
        return all(
            present[split, name] > 1 or split not in _wanted_splits(len(groups_of[name]), sizes)
            for name in counts[group]
        )

    for name in sorted(groups_of, key=lambda name: (len(groups_of[name]), name)):
        for split in _wanted_splits(len(groups_of[name]), sizes):
            if present[split, name]:
                continue
            if mover := next(filter(can_leave, groups_of[name]), ""):
                present.subtract((split_of[mover], own) for own in counts[mover])
                split_of[mover] = split
                present.update((split, own) for own in counts[mover])


def _path_hash(path: str) -> bytes:
    return hashlib.sha256(os.fsencode(path)).digest()


def _sorted_by_path(splits: Splits) -> Splits:
    return {split: sorted(photos, key=lambda photo: photo.path) for split, photos in splits.items()}
