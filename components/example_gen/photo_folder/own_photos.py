"""A user's photos, dealt to train, validation and test by what is known of them before any is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.example_gen.photo_folder.grouping import deal_groups, find_groups
from components.example_gen.photo_folder.photo_set import PhotoFile, PhotoSet
from components.example_gen.photo_folder.stratification import stratify
from components.example_gen.splits import carved_ranges


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
        photo_set: What `components.example_gen.sources.scan_photos` found.
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
