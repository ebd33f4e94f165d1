"""A user's photos, dealt to train, validation and test by what is known of them before any is read."""

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
from components.photos.splits import carved_ranges

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


_REGEX_CHARACTERS: Final = re.compile(r"[\\\[\](){}*+?|^$]")
# What is counted of a group besides the photos of each class: all of them.
_ALL: Final = ""


@dataclass(frozen=True)
class Grouping:
    """Which group each photo is in, by path, and one line that tells how many there are."""

    group_of: Mapping[str, str]
    remark: str


def find_groups(photos: Sequence[PhotoFile], group_by: str, source: str) -> Grouping:
    """Finds the groups of photos; a photo without one is its own.

    Args:
        photos: The photos.
        group_by: A column of the manifest, or a regular expression that is looked for in paths: what its brackets
            match, or without brackets all of it, names the group.
        source: What messages call the place that the photos are from.

    Raises:
        UserError: There is no such column, the expression is none or matches nothing, or a group comes in several
            splits.
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
        example = photos[0].path
        raise UserError(f"--group-by {group_by!r} matches no path in {source!r}, such as {example!r}")
    # No name that was found holds a NUL.
    group_of = {photo.path: name or f"\0{photo.path}" for photo, name in zip(photos, names, strict=True)}
    _check_splits(photos, group_of)
    alone = names.count("")
    counts = "counts by itself" if alone == 1 else "count by themselves"
    without = f"; {alone:,} {'photo' if alone == 1 else 'photos'} without a group {counts}" if alone else ""
    remark = f"Photos of one group stay in one split ({group_by}): {len(groups):,} groups{without}"
    return Grouping(group_of, f"{remark}; split sizes are approximate")


def _search(photos: Iterable[PhotoFile], expression: str) -> list[str]:
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise UserError(f"--group-by {expression!r} is no regular expression: {error}") from None
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
            "mend the splits, or leave out --group-by"
        )


def deal_groups(
    photos: Iterable[PhotoFile], group_of: Mapping[str, str], sizes: Mapping[str, int]
) -> dict[str, list[PhotoFile]]:
    """Deals whole groups to splits, large ones first, each to the split that lacks most of its classes.

    Args:
        photos: The photos.
        group_of: Their groups, by path.
        sizes: {split: how many photos}, in all as many as there are.

    Returns:
        {split: photos, sorted by path}, near these sizes and near each class's share; a class with a group for each
        split is in each, where that takes none from another class.

    Raises:
        UserError: There are fewer groups than splits, or a split would get none.
    """
    members: dict[str, list[PhotoFile]] = defaultdict(list)
    for photo in sorted(photos, key=lambda photo: photo.path):
        members[group_of[photo.path]].append(photo)
    if len(members) < len(sizes):
        raise UserError(f"there are {len(members)} groups for {len(sizes)} splits: each split needs one of its own")
    counts = {
        group: Counter(photo.class_name for photo in found) + Counter({_ALL: len(found)})
        for group, found in members.items()
    }
    split_of = _assign(counts, sizes)
    _spread(counts, split_of, sizes)
    dealt: dict[str, list[PhotoFile]] = {split: [] for split in sizes}
    for group, split in split_of.items():
        dealt[split] += members[group]
    for split, found in dealt.items():
        if not found:
            raise UserError(f"no group is left for {split}: every class has too few groups; choose smaller groups")
    return {split: sorted(found, key=lambda photo: photo.path) for split, found in dealt.items()}


def _assign(counts: Mapping[str, Counter[str]], sizes: Mapping[str, int]) -> dict[str, str]:
    """Returns the split of each group: the one in which it mends most of the squared distance to what is wanted."""
    totals: Counter[str] = Counter()
    for own in counts.values():
        totals += own
    photos = totals[_ALL]
    wanted = {split: {name: total * size / photos for name, total in totals.items()} for split, size in sizes.items()}
    lacking = {split: dict(shares) for split, shares in wanted.items()}
    preference = wanted_splits(len(sizes), sizes)
    split_of = {}
    for group in sorted(counts, key=lambda group: (-counts[group][_ALL], path_hash(group))):
        own = counts[group]

        def gain(split: str, own: Counter[str] = own) -> float:
            shares = wanted[split]
            return sum(n * (2 * lacking[split][name] - n) / shares[name] for name, n in own.items() if shares[name])

        split_of[group] = max(preference, key=gain)
        for name, number in own.items():
            lacking[split_of[group]][name] -= number
    return split_of


def _spread(counts: Mapping[str, Counter[str]], split_of: dict[str, str], sizes: Mapping[str, int]) -> None:
    """Moves small groups to the splits that lack a class, as long as no split loses one that it should have."""
    groups_of: dict[str, list[str]] = defaultdict(list)
    for group in sorted(counts, key=lambda group: (counts[group][_ALL], path_hash(group))):
        for name in counts[group]:
            groups_of[name].append(group)
    present = Counter((split_of[group], name) for group in counts for name in counts[group])

    def can_leave(group: str) -> bool:
        split = split_of[group]
        return all(
            present[split, name] > 1 or split not in wanted_splits(len(groups_of[name]), sizes)
            for name in counts[group]
        )

    for name in sorted(groups_of, key=lambda name: (len(groups_of[name]), name)):
        for split in wanted_splits(len(groups_of[name]), sizes):
            if present[split, name]:
                continue
            if mover := next(filter(can_leave, groups_of[name]), ""):
                present.subtract((split_of[mover], own) for own in counts[mover])
                split_of[mover] = split
                present.update((split, own) for own in counts[mover])


@dataclass(frozen=True)
class OwnPhotos:
    """Photos and their splits.

    Attributes:
        photo_set: All photos, and the class names in label order.
        splits: {split: photos} of each split that has any.
        grouping: One line on the groups that share a split; empty without groups.
    """

    photo_set: PhotoSet
    splits: Mapping[str, Sequence[PhotoFile]]
    grouping: str = ""


def deal_photos(photo_set: PhotoSet, fractions: Sequence[float] | None, group_by: str) -> OwnPhotos:
    """Splits photos: what does not come split is, class by class or group by group.

    Args:
        photo_set: What `components.photos.source.scan_photos` found.
        fractions: Shares of train, validation and test. None leaves what does not come split in train.
        group_by: What groups photos that must not be in several splits (see `grouping.find_groups`); empty for none.

    Raises:
        UserError: The photos cannot be grouped so.
    """
    groups = find_groups(photo_set.files, group_by, photo_set.source) if group_by else None
    splits = photo_set.by_split
    if fractions:
        source, ranges = carved_ranges({split: len(photos) for split, photos in splits.items()}, fractions)
        sizes = {split: end - start for split, (start, end) in ranges.items()}
        splits |= deal_groups(splits[source], groups.group_of, sizes) if groups else stratify(splits[source], sizes)
    dealt = {split: photos for split, photos in splits.items() if photos}
    return OwnPhotos(photo_set, dealt, groups.remark if groups else "")
