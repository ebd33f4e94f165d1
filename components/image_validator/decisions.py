"""What happens to photos that are unusable, contradictory or in two splits at once, and how many there are."""

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from components.common.errors import UserError
from components.contracts import TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.contracts.quarantine import (
    Action,
    DuplicatedPhoto,
    QuarantineEntry,
    QuarantineSummary,
    Reason,
)
from components.image_validator.duplicates import Photo, PhotoKey

Decision = tuple[PhotoKey, QuarantineEntry]
CountKey = tuple[str, ...]  # (a field of `QuarantineSummary`, key in it, key in that if there is one)

# Where a picture stays when it is in several splits: training loses nothing, and the test split, which decides on a
# blessing, loses less than the validation split. Other splits follow.
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


class CrossSplitDuplicates(str, enum.Enum):
    """What to do with the same picture in several splits."""

    DROP_FROM_EVALUATION = "drop_from_evaluation"
    MOVE_TO_TRAIN = "move_to_train"
    KEEP = "keep"


def decide_on_photo(photo: Photo) -> Iterator[Decision]:
    """Quarantines a photo that is unusable by itself; yields nothing for another."""
    if defect := photo.check.defect:
        yield _decision(photo, Action.QUARANTINED, defect.reason, defect.detail)


def decide_on_duplicates(group: Sequence[Photo], policy: CrossSplitDuplicates) -> Iterator[Decision]:
    """Yields what happens to photos that show the same picture.

    Under different labels all of them are quarantined, since nothing tells which label is right. In different splits
    they are treated by the policy. In one split and class they all stay: they contradict nothing, and the data set
    keeps its published size.

    Args:
        group: All usable photos of one picture, at least two.
        policy: What to do about different splits.
    """
    if len({photo.label for photo in group}) > 1:
        for photo in group:
            other = _closest(photo, [other for other in group if other.label != photo.label])
            equal = other.digest == photo.digest
            reason = Reason.LABEL_CONFLICT if equal else Reason.NEAR_DUPLICATE_LABEL_CONFLICT
            detail = f"same picture as {other.text_id} in {other.split}, which has label {other.label}"
            yield _decision(photo, Action.QUARANTINED, reason, detail, other)
    elif policy is not CrossSplitDuplicates.KEEP and len({photo.split for photo in group}) > 1:
        move = policy is CrossSplitDuplicates.MOVE_TO_TRAIN
        action = Action.MOVED_TO_TRAIN if move else Action.DROPPED_FROM_EVALUATION
        staying = TRAIN_SPLIT if move else min((photo.split for photo in group), key=_priority)
        for photo in group:
            if photo.split != staying:
                other = _closest(photo, [other for other in group if other.split != photo.split])
                equal = other.digest == photo.digest
                reason = Reason.CROSS_SPLIT_DUPLICATE if equal else Reason.CROSS_SPLIT_NEAR_DUPLICATE
                yield _decision(photo, action, reason, f"same picture as {other.text_id} in {other.split}", other)


def _decision(photo: Photo, action: Action, reason: Reason, detail: str, other: Photo | None = None) -> Decision:
    duplicate_of = DuplicatedPhoto(other.split, other.text_id, other.label) if other else None
    return photo.key, QuarantineEntry(
        photo.text_id, photo.split, photo.label, photo.class_name, action, reason, detail, duplicate_of
    )


def _priority(split: str) -> tuple[int, str]:
    known = split in _SPLIT_PRIORITY
    return (_SPLIT_PRIORITY.index(split) if known else len(_SPLIT_PRIORITY)), split


def _closest(photo: Photo, others: Iterable[Photo]) -> Photo:
    """Returns the one that a photo clashes with, equal bytes first."""
    return min(others, key=lambda other: (other.digest != photo.digest, _priority(other.split), other.id))


def output_split(split: str, entry: QuarantineEntry | None) -> str | None:
    """Returns the split that a photo is written to; None when it is left out."""
    if entry is None:
        return split
    return TRAIN_SPLIT if entry.action is Action.MOVED_TO_TRAIN else None


def count_photo(photo: Photo, entries: Mapping[PhotoKey, QuarantineEntry]) -> Iterator[tuple[CountKey, int]]:
    """Yields what a photo adds to the counts; `entries` are those of all photos."""
    yield ("photos", photo.split), 1
    if split := output_split(photo.split, entries.get(photo.key)):
        yield ("class_counts", split, photo.class_name), 1
    if photo.check.image_format:
        yield ("formats", photo.check.image_format), 1
    if photo.check.converted_from:
        yield ("converted", photo.check.converted_from), 1
    if photo.check.color_mode:
        yield ("color_modes", photo.check.color_mode), 1


def count_kept_duplicates(
    group: Sequence[Photo], entries: Mapping[PhotoKey, QuarantineEntry]
) -> Iterator[tuple[CountKey, int]]:
    """Yields how many photos of a picture stay beside the first."""
    kept = [photo.digest for photo in group if output_split(photo.split, entries.get(photo.key))]
    if kept:
        yield ("duplicates_kept", "exact"), len(kept) - len(set(kept))
        yield ("duplicates_kept", "near"), len(set(kept)) - 1


def summarize(
    counts: Mapping[CountKey, int],
    listing: Sequence[QuarantineEntry],
    splits: Sequence[str],
    class_names: Sequence[str],
) -> QuarantineSummary:
    """Arranges the sums of the counts, and counts the listing.

    Args:
        counts: Sums over all photos and groups.
        listing: All entries in the order of the listing.
        splits: The splits of the examples.
        class_names: The classes in label order.
    """
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
    reasons: dict[Action, dict[str, int]] = {action: {} for action in Action}
    for entry in listing:
        counted = reasons[entry.action]
        counted[entry.reason.value] = counted.get(entry.reason.value, 0) + 1
    return QuarantineSummary(
        **fields,
        quarantined=reasons[Action.QUARANTINED],
        dropped_from_evaluation=reasons[Action.DROPPED_FROM_EVALUATION],
        moved_to_train=reasons[Action.MOVED_TO_TRAIN],
        split_counts={split: sum(names.values()) for split, names in fields["class_counts"].items()},
        first_ids={entry.reason.value: entry.id for entry in reversed(listing)},
        left_out=reasons[Action.LEFT_OUT],
        reviewed=reasons[Action.REVIEWED],
        left_out_suffixes=dict(
            Counter(
                PurePosixPath(entry.id).suffix.lower() for entry in listing if entry.reason is Reason.UNSUPPORTED_SUFFIX
            )
        ),
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
    if summary.dropped_from_evaluation:
        line += f"; {sum(summary.dropped_from_evaluation.values()):,} cross-split duplicates dropped from evaluation"
    if summary.moved_to_train:
        line += f"; {sum(summary.moved_to_train.values()):,} cross-split duplicates moved to the train split"
    return line


def check_usable(summary: QuarantineSummary, max_quarantine_share: float) -> None:
    """Stops the run when too little of the data is of use.

    Args:
        summary: Counts of the validation.
        max_quarantine_share: Largest share of photos that may be unusable, in [0, 1]. Duplicates dropped from
            evaluation do not count.

    Raises:
        UserError: More photos are unusable, or a split that had photos has none left.
    """
    photos, unusable = summary.num_photos, summary.num_quarantined
    if unusable > max_quarantine_share * photos:
        reason = max(summary.quarantined, key=lambda code: (summary.quarantined[code], code))
        raise UserError(
            f"{unusable:,} of {photos:,} photos ({unusable / photos:.1%}) are unusable, more than the "
            f"{max_quarantine_share:.1%} that max_quarantine_share allows; most frequent: "
            f"{summary.quarantined[reason]:,} {_PHRASES[reason]}, such as {summary.first_ids[reason]!r}; "
            "mend the photos or raise the bound"
        )
    for split, count in summary.photos.items():
        if count and not summary.split_counts[split]:
            raise UserError(
                f"no photo of the {split} split's {count:,} is left after validation ({describe(summary)}); "
                "mend the photos or the split"
            )
