"""What happens to photos that are unusable, contradictory or in two splits at once."""

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from components.common.contracts import TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.image_validator.photo import Action, Photo, Reason, Verdict, printable_id

# Where a picture stays when it is in several splits: training loses nothing, and the test split, which decides on a
# blessing, loses less than the validation split. Other splits follow.
_SPLIT_PRIORITY: Final = (TRAIN_SPLIT, TEST_SPLIT, VALIDATION_SPLIT)


class CrossSplitDuplicates(str, enum.Enum):
    """What to do with the same picture in several splits."""

    DROP_FROM_EVALUATION = "drop_from_evaluation"
    MOVE_TO_TRAIN = "move_to_train"
    KEEP = "keep"


def judge_photo(photo: Photo) -> Iterator[Verdict]:
    """Yields the verdict on a photo that is unusable by itself.

    Args:
        photo: Any photo.
    """
    finding = photo.inspection.finding
    if finding:
        yield Verdict(photo, Action.QUARANTINED, finding.reason, finding.detail)


def judge_duplicates(group: Sequence[Photo], policy: CrossSplitDuplicates) -> Iterator[Verdict]:
    """Yields the verdicts on photos that show the same picture.

    Under different labels all of them are quarantined, since nothing tells which label is right. In different splits
    they are treated by the policy. In one split and class they all stay: they contradict nothing, and the data set
    keeps its published size.

    Args:
        group: All usable photos of one picture, at least two.
        policy: What to do about different splits.
    """
    if len({photo.label for photo in group}) > 1:
        yield from _judge_conflict(group)
    elif policy is not CrossSplitDuplicates.KEEP and len({photo.split for photo in group}) > 1:
        yield from _judge_leak(group, policy)


def _judge_conflict(group: Sequence[Photo]) -> Iterator[Verdict]:
    reasons = Reason.LABEL_CONFLICT, Reason.NEAR_DUPLICATE_LABEL_CONFLICT
    for photo in group:
        reason, other = _closest(photo, group, reasons, lambda one, other: one.label != other.label)
        detail = f"same picture as {printable_id(other.id)} in {other.split}, which has label {other.label}"
        yield Verdict(photo, Action.QUARANTINED, reason, detail)


def _judge_leak(group: Sequence[Photo], policy: CrossSplitDuplicates) -> Iterator[Verdict]:
    reasons = Reason.CROSS_SPLIT_DUPLICATE, Reason.CROSS_SPLIT_NEAR_DUPLICATE
    move = policy is CrossSplitDuplicates.MOVE_TO_TRAIN
    action = Action.MOVED_TO_TRAIN if move else Action.DROPPED_FROM_EVALUATION
    staying = TRAIN_SPLIT if move else min((photo.split for photo in group), key=_priority)
    for photo in group:
        if photo.split != staying:
            reason, other = _closest(photo, group, reasons, lambda one, other: one.split != other.split)
            yield Verdict(photo, action, reason, f"same picture as {printable_id(other.id)} in {other.split}")


def _priority(split: str) -> tuple[int, str]:
    known = split in _SPLIT_PRIORITY
    return (_SPLIT_PRIORITY.index(split) if known else len(_SPLIT_PRIORITY)), split


def _closest(
    photo: Photo,
    group: Sequence[Photo],
    reasons: tuple[Reason, Reason],
    differ: Callable[[Photo, Photo], bool],
) -> tuple[Reason, Photo]:
    """Returns the reason (equal bytes, near) and the photo that the given one clashes with, equal bytes first."""
    clashing = [other for other in group if differ(photo, other)]
    equal = [other for other in clashing if other.digest == photo.digest]
    exact, near = reasons
    return (exact, min(equal, key=_order)) if equal else (near, min(clashing, key=_order))


def _order(photo: Photo) -> tuple[tuple[int, str], bytes]:
    return _priority(photo.split), photo.id
