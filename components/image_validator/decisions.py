"""What happens to photos that are unusable, under two labels or in two splits, and the counts."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
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
from components.image_validator.duplicates import ExampleKey, Photo

Decision = tuple[ExampleKey, QuarantineEntry]
CountKey = tuple[str, ...]  # (a field of `QuarantineSummary`, key in it, key in that if there is one)

# Where a picture in several splits stays: training loses nothing, and the test split, which decides on a blessing,
# loses less than the validation split. Other splits follow.
_SPLIT_PRIORITY: Final = (TRAIN_SPLIT, TEST_SPLIT, VALIDATION_SPLIT)
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
    Reason.NEAR_DUPLICATE_LABEL_CONFLICT: "near-duplicates under two labels",
}


def decide_on_photo(photo: Photo) -> Iterator[Decision]:
    """Quarantines an unusable photo; yields nothing for a usable one."""
    if defect := photo.check.defect:
        yield _decision(photo, Action.QUARANTINED, defect.reason, defect.detail)


def decide_on_duplicates(group: Sequence[Photo]) -> Iterator[Decision]:
    """Yields what happens to the usable photos, at least two, that show the same picture.

    Under different labels all of them are quarantined, because it is not known which label is right. In several splits
    they stay in one. In one split and class they all stay, so that the data set keeps its published size.
    """
    if len({photo.label for photo in group}) > 1:
        for photo in group:
            other, is_equal = _closest(photo, [other for other in group if other.label != photo.label])
            reason = Reason.LABEL_CONFLICT if is_equal else Reason.NEAR_DUPLICATE_LABEL_CONFLICT
            detail = f"same picture as {other.text_id} in {other.split}, which has label {other.label}"
            yield _decision(photo, Action.QUARANTINED, reason, detail, other)
        return
    staying = min((photo.split for photo in group), key=_priority)
    for photo in group:
        if photo.split != staying:
            other, is_equal = _closest(photo, [other for other in group if other.split != photo.split])
            reason = Reason.CROSS_SPLIT_DUPLICATE if is_equal else Reason.CROSS_SPLIT_NEAR_DUPLICATE
            detail = f"same picture as {other.text_id} in {other.split}"
            yield _decision(photo, Action.DROPPED_FROM_EVALUATION, reason, detail, other)


def _decision(photo: Photo, action: Action, reason: Reason, detail: str, other: Photo | None = None) -> Decision:
    found = photo.text_id, photo.split, photo.label, photo.class_name
    duplicate_of = DuplicatedPhoto(other.split, other.text_id, other.label) if other else None
    return photo.key, QuarantineEntry(*found, action, reason, detail, duplicate_of)


def _priority(split: str) -> tuple[int, str]:
    return (*_SPLIT_PRIORITY, split).index(split), split


def _closest(photo: Photo, others: Iterable[Photo]) -> tuple[Photo, bool]:
    """Returns the duplicate to name, one with equal bytes first, and whether its bytes are equal."""
    other = min(others, key=lambda other: (other.digest != photo.digest, _priority(other.split), other.id))
    return other, other.digest == photo.digest


def count_photo(photo: Photo, entries: Container[ExampleKey]) -> Iterator[tuple[CountKey, int]]:
    """Yields what a photo adds to the counts."""
    yield ("photos", photo.split), 1
    if photo.key not in entries:
        yield ("class_counts", photo.split, photo.class_name), 1
    check = photo.check
    found = {"formats": check.image_format, "converted": check.converted_from, "color_modes": check.color_mode}
    for field, value in found.items():
        if value:
            yield (field, value), 1


def find_kinds(photo: Photo, entries: Container[ExampleKey]) -> Iterator[tuple[Kind, tuple[bytes, Reference]]]:
    """Yields the kinds of how a photo that stays looks, each with the photo."""
    for kind in () if photo.key in entries else photo.looks:
        yield kind, (photo.digest, (photo.split, photo.text_id))


def count_kept_duplicates(group: Sequence[Photo], entries: Container[ExampleKey]) -> Iterator[tuple[CountKey, int]]:
    """Yields how many photos of a picture stay besides the first."""
    kept = [photo.digest for photo in group if photo.key not in entries]
    if kept:
        yield ("duplicates_kept", "exact"), len(kept) - len(set(kept))
        yield ("duplicates_kept", "near"), len(set(kept)) - 1


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
