"""Counts what happened to each photo, and makes the summary of the counts."""

import collections
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from components.common.contracts import TRAIN_SPLIT
from components.image_validator.photo import Action, Photo, PhotoKey, Verdict, printable_id
from components.image_validator.summary import Summary

CountKey = tuple[str, str, str]  # (what is counted, split or "", further detail or "")

_PHOTOS: Final = "photos"
_WRITTEN: Final = "written"
_FORMAT: Final = "format"
_COLOR_MODE: Final = "color_mode"
_KEPT: Final = "kept"


def output_split(photo_split: str, verdict: Verdict | None) -> str | None:
    """Returns the split a photo is written to, or None when it is left out.

    Args:
        photo_split: The split it came in.
        verdict: The verdict on it, if there is one.
    """
    if verdict is None:
        return photo_split
    return TRAIN_SPLIT if verdict.action is Action.MOVED_TO_TRAIN else None


def count_photo(photo: Photo, verdicts: Mapping[PhotoKey, Verdict]) -> Iterator[tuple[CountKey, int]]:
    """Yields what a photo adds to the counts.

    Args:
        photo: Any photo.
        verdicts: All verdicts, by the key of their photo.
    """
    verdict = verdicts.get(photo.key)
    split = output_split(photo.split, verdict)
    yield (_PHOTOS, photo.split, ""), 1
    if split:
        yield (_WRITTEN, split, str(photo.label)), 1
    if verdict:
        yield (verdict.action.value, "", verdict.reason.value), 1
    if photo.inspection.image_format:
        yield (_FORMAT, "", photo.inspection.image_format), 1
    if photo.inspection.color_mode:
        yield (_COLOR_MODE, "", photo.inspection.color_mode), 1


def count_kept_duplicates(
    group: Sequence[Photo], verdicts: Mapping[PhotoKey, Verdict]
) -> Iterator[tuple[CountKey, int]]:
    """Yields how many copies of a picture stay beside the first.

    Args:
        group: All usable photos of one picture.
        verdicts: All verdicts, by the key of their photo.
    """
    kept = [photo.digest for photo in group if output_split(photo.split, verdicts.get(photo.key))]
    if kept:
        yield (_KEPT, "", "exact"), len(kept) - len(set(kept))
        yield (_KEPT, "", "near"), len(set(kept)) - 1


def make_summary(
    counts: Mapping[CountKey, int], listing: Sequence[Verdict], splits: Sequence[str], class_names: Sequence[str]
) -> Summary:
    """Arranges summed counts.

    Args:
        counts: Sums over all photos and groups.
        listing: All verdicts in the order of the listing.
        splits: The splits of the examples.
        class_names: The classes in label order; others are named by their label.
    """
    by_kind: dict[str, dict[str, int]] = collections.defaultdict(dict)
    class_counts = {split: dict.fromkeys(class_names, 0) for split in splits}
    for (kind, split, detail), count in sorted(counts.items()):
        if kind == _WRITTEN:
            class_counts[split][class_name(int(detail), class_names)] = count
        elif count:
            by_kind[kind][split or detail] = count
    first_ids: dict[str, str] = {}
    for verdict in listing:
        first_ids.setdefault(verdict.reason.value, printable_id(verdict.photo.id))
    return Summary(
        photos={split: by_kind[_PHOTOS].get(split, 0) for split in splits},
        quarantined=by_kind[Action.QUARANTINED.value],
        dropped_from_evaluation=by_kind[Action.DROPPED_FROM_EVALUATION.value],
        moved_to_train=by_kind[Action.MOVED_TO_TRAIN.value],
        duplicates_kept={kind: by_kind[_KEPT].get(kind, 0) for kind in ("exact", "near")},
        split_counts={split: sum(class_counts[split].values()) for split in splits},
        class_counts=class_counts,
        formats=by_kind[_FORMAT],
        color_modes=by_kind[_COLOR_MODE],
        first_ids=first_ids,
    )


def class_name(label: int, class_names: Sequence[str]) -> str:
    """Returns the name of a label; the label itself when it has none.

    Args:
        label: A label, in range or not.
        class_names: The classes in label order.
    """
    return class_names[label] if 0 <= label < len(class_names) else str(label)
