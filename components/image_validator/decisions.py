"""What happens to photos that are unusable, under two labels or in two splits, and the counts."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from components.common.errors import UserError
from components.common.text import counted
from components.contracts import TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.contracts.quarantine import (
    Action,
    DuplicatedPhoto,
    OddPhotos,
    QuarantineEntry,
    QuarantineSummary,
    Reason,
)
from components.image_validator.appearance import Kind, Reference
from components.image_validator.duplicates import Duplicate, ExampleKey, Photo

Decision = tuple[ExampleKey, QuarantineEntry]
SplitClass = tuple[str, int]  # split and label
CountKey = tuple[str, ...]  # (a field of `QuarantineSummary`, key in it, key in that if there is one)

# Where a picture in several splits stays: training loses nothing, and the test split, which decides on a blessing,
# loses less than the validation split. Other splits follow.
_SPLIT_PRIORITY: Final = (TRAIN_SPLIT, TEST_SPLIT, VALIDATION_SPLIT)
# Near-duplicates of other splits are kept where dropping them would take more than this share of a class in a split:
# with a fixed camera, all photos look alike.
MAX_DROPPED_SHARE: Final = 0.2
_PHRASES: Final[Mapping[str, str]] = {
    Reason.EMPTY: "empty",
    Reason.TOO_MANY_BYTES: "too many bytes",
    Reason.NOT_AN_IMAGE: "not an image",
    Reason.UNSUPPORTED_FORMAT: "in an unsupported format",
    Reason.TOO_MANY_PIXELS: "too many pixels",
    Reason.ANIMATED: "animated",
    Reason.TRUNCATED: "truncated",
    Reason.UNDECODABLE: "undecodable",
    Reason.LABEL_CONFLICT: "with the same bytes under two labels",
}

_REPORTED: Final[Mapping[str, str]] = {
    Reason.NEAR_DUPLICATE_LABEL_CONFLICT: (
        "Look-alikes under two labels: {photos}, such as {examples} (kept; check the labels if they are copies)"
    ),
    Reason.CROSS_SPLIT_NEAR_DUPLICATE: (
        "Look-alikes in two splits: {photos}, such as {examples} (kept, as they are more than "
        f"{MAX_DROPPED_SHARE:.0%} of a class in a split; metrics are too high if they are copies or one series: "
        "--group-by keeps a series in one split)"
    ),
}


def decide_on_photo(photo: Photo) -> Iterator[Decision]:
    """Quarantines an unusable photo; yields nothing for a usable one."""
    if defect := photo.check.defect:
        yield _decision(photo, Action.QUARANTINED, defect.reason, defect.detail)


def decide_on_duplicates(cluster: Sequence[Duplicate]) -> Iterator[Decision]:
    """Yields what happens to the usable photos of a cluster, at least two.

    Those with equal bytes under different labels are quarantined, because it is not known which label is right. Those
    that only look alike are reported and kept: classes may differ by colour, or by a small part. Under one label, a
    picture in several splits stays in one. In one split and class all stay, so that the data set keeps its published
    size.
    """
    first = {found.photo.file: found.photo for found in reversed(cluster)}
    staying: list[Duplicate] = []
    for copies in _grouped(cluster, lambda found: found.photo.digest):
        if len({found.photo.label for found in copies}) > 1:
            for photo, _ in copies:
                other = next(found.photo for found in copies if found.photo.label != photo.label)
                detail = f"same bytes as {other.text_id} in {other.split}, class {other.class_name}"
                yield _decision(photo, Action.QUARANTINED, Reason.LABEL_CONFLICT, detail, other)
        else:
            staying += yield from _keep_in_one_split(copies, Reason.CROSS_SPLIT_DUPLICATE)
    for group in _grouped(staying, lambda found: found.place.group):
        for photo, place in (yield from _keep_in_one_split(group, Reason.CROSS_SPLIT_NEAR_DUPLICATE)):
            if place.look_alike:
                other = first[place.look_alike]
                detail = f"looks like {other.text_id} in {other.split}, class {other.class_name}"
                yield _decision(photo, Action.REPORTED, Reason.NEAR_DUPLICATE_LABEL_CONFLICT, detail, other)


def place_of_near_duplicate(decision: Decision) -> Iterator[SplitClass]:
    """Yields the split and class of a photo that looks like one of another split."""
    _, entry = decision
    if entry.reason is Reason.CROSS_SPLIT_NEAR_DUPLICATE:
        yield entry.split, entry.label


def keep_most(decision: Decision, photos: Mapping[SplitClass, int], near: Mapping[SplitClass, int]) -> Decision:
    """Keeps a near-duplicate of another split, and reports it, where too many of the split and class would be dropped.

    `photos` has the photos of each split and class, `near` how many of them are near-duplicates of other splits.
    """
    key, entry = decision
    if any(near[place] > MAX_DROPPED_SHARE * photos[place] for place in place_of_near_duplicate(decision)):
        entry = dataclasses.replace(entry, action=Action.REPORTED)
    return key, entry


def _grouped(duplicates: Iterable[Duplicate], key: Callable[[Duplicate], Any]) -> Iterator[list[Duplicate]]:
    """Yields those with equal keys together, sorted by photo."""
    for _, group in itertools.groupby(sorted(duplicates, key=lambda found: (key(found), found.photo.key)), key):
        yield list(group)


def _keep_in_one_split(
    duplicates: Sequence[Duplicate], reason: Reason
) -> Generator[Decision, None, Sequence[Duplicate]]:
    """Yields decisions to drop the photos of all splits except one, and returns those that stay."""
    home = min((photo.split for photo, _ in duplicates), key=_priority)
    staying = [found for found in duplicates if found.photo.split == home]
    for photo, _ in duplicates:
        if photo.split != home:
            other = staying[0].photo
            same = "same bytes as" if reason is Reason.CROSS_SPLIT_DUPLICATE else "looks like"
            detail = f"{same} {other.text_id} in {other.split}"
            yield _decision(photo, Action.DROPPED_FROM_EVALUATION, reason, detail, other)
    return staying


def _decision(photo: Photo, action: Action, reason: Reason, detail: str, other: Photo | None = None) -> Decision:
    found = photo.text_id, photo.split, photo.label, photo.class_name
    duplicate_of = DuplicatedPhoto(other.split, other.text_id, other.label) if other else None
    return photo.key, QuarantineEntry(*found, action, reason, detail, duplicate_of)


def _priority(split: str) -> tuple[int, str]:
    return (*_SPLIT_PRIORITY, split).index(split), split


def count_photo(photo: Photo, excluded: Container[ExampleKey]) -> Iterator[tuple[CountKey, int]]:
    """Yields what a photo adds to the counts."""
    yield ("photos", photo.split), 1
    if photo.key not in excluded:
        yield ("class_counts", photo.split, photo.class_name), 1
    check = photo.check
    found = {"formats": check.image_format, "converted": check.converted_from, "color_modes": check.color_mode}
    for field, value in found.items():
        if value:
            yield (field, value), 1


def find_kinds(photo: Photo, excluded: Container[ExampleKey]) -> Iterator[tuple[Kind, tuple[bytes, Reference]]]:
    """Yields the kinds of how a photo that stays looks, each with the photo."""
    for kind in () if photo.key in excluded else photo.looks:
        yield kind, (photo.digest, (photo.split, photo.text_id))


def count_kept_duplicates(
    cluster: Sequence[Duplicate], excluded: Container[ExampleKey]
) -> Iterator[tuple[CountKey, int]]:
    """Yields how many photos of a picture stay in its split and class besides the first."""
    kept = [found for found in cluster if found.photo.key not in excluded]
    for group in _grouped(kept, lambda found: (found.photo.split.encode(), found.place.group)):
        files = {found.photo.file for found in group}
        yield ("duplicates_kept", "exact"), len(group) - len(files)
        yield ("duplicates_kept", "near"), len(files) - 1


def summarize(
    counts: Mapping[CountKey, int],
    listing: Sequence[QuarantineEntry],
    splits: Sequence[str],
    class_names: Sequence[str],
    odd_looking: Mapping[str, OddPhotos],
) -> QuarantineSummary:
    """Returns the summary of the counts, summed over all photos and groups, and of the listing."""
    fields: dict[str, Any] = {
        "photos": dict.fromkeys(splits, 0),
        "class_counts": {split: dict.fromkeys(class_names, 0) for split in splits},
        "duplicates_kept": {"exact": 0, "near": 0},
        "formats": {},
        "converted": {},
        "color_modes": {},
    }
    for (field, *path, key), count in counts.items():
        target = fields[field]
        for step in path:
            target = target[step]
        target[key] = count
    reasons = {
        action: dict(Counter(entry.reason.value for entry in listing if entry.action is action)) for action in Action
    }
    unsupported = [entry.id for entry in listing if entry.reason is Reason.UNSUPPORTED_SUFFIX]
    return QuarantineSummary(
        **fields,
        quarantined=reasons[Action.QUARANTINED],
        dropped_from_evaluation=reasons[Action.DROPPED_FROM_EVALUATION],
        moved_to_train={},  # An option of earlier versions.
        split_counts={split: sum(names.values()) for split, names in fields["class_counts"].items()},
        first_ids={entry.reason.value: entry.id for entry in reversed(listing)},
        left_out=reasons[Action.LEFT_OUT],
        reviewed=reasons[Action.REVIEWED],
        reported=reasons[Action.REPORTED],
        reported_examples={
            entry.reason.value: [entry.id, *([entry.duplicate_of.id] if entry.duplicate_of else [])]
            for entry in reversed(listing)
            if entry.action is Action.REPORTED
        },
        left_out_suffixes=dict(Counter(PurePosixPath(path).suffix.lower() for path in unsupported)),
        odd_looking=odd_looking,
    )


def describe(summary: QuarantineSummary) -> str:
    """Returns one line for the user, such as "3,217 of 3,219 photos usable: 1 truncated, 1 not an image"."""
    line = f"{summary.num_photos - summary.num_quarantined:,} of {summary.num_photos:,} photos usable"
    if summary.quarantined:
        by_count = sorted(summary.quarantined.items(), key=lambda item: (-item[1], item[0]))
        line += ": " + ", ".join(f"{count:,} {_PHRASES[reason]}" for reason, count in by_count)
    if summary.converted:
        formats = ", ".join(f"{count:,} {name}" for name, count in sorted(summary.converted.items()))
        line += f"; {sum(summary.converted.values()):,} converted to JPEG ({formats})"
    if dropped := sum(summary.dropped_from_evaluation.values()):
        line += f"; {counted(dropped, 'cross-split duplicate')} dropped from evaluation"
    return line


def describe_reported(summary: QuarantineSummary) -> Iterator[str]:
    """Yields a line for the user on each kind of photos that are kept and reported."""
    for reason, count in summary.reported.items():
        examples = " and ".join(map(repr, summary.reported_examples[reason]))
        yield _REPORTED[reason].format(photos=counted(count, "photo"), examples=examples)


def check_usable(summary: QuarantineSummary, max_quarantine_share: float) -> None:
    """Raises UserError if a larger share is unusable, duplicates aside, or a split that had photos has none left."""
    photos, unusable = summary.num_photos, summary.num_quarantined
    if unusable > max_quarantine_share * photos:
        reason = max(summary.quarantined, key=lambda code: (summary.quarantined[code], code))
        raise UserError(
            f"{unusable:,} of {counted(photos, 'photo')} ({unusable / photos:.1%}) are unusable, more than "
            f"the {max_quarantine_share:.1%} that max_quarantine_share allows; most frequent: "
            f"{summary.quarantined[reason]:,} {_PHRASES[reason]}, such as {summary.first_ids[reason]!r}; "
            "fix the photos or raise the limit"
        )
    for split, count in summary.photos.items():
        if count and not summary.split_counts[split]:
            raise UserError(
                f"split {split} has no photo left of {count:,} after validation ({describe(summary)}); fix the photos "
                "or the split"
            )
