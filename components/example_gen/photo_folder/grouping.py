"""Groups of photos that must not cross splits: of one plant, patient or camera."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from components.common.errors import UserError
from components.example_gen.photo_folder.photo_set import PhotoFile
from components.example_gen.photo_folder.stratification import path_hash, wanted_splits

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
