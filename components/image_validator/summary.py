"""What ImageValidator found, in numbers and in words.

Written to the Quarantine artifact by `transforms.ValidatePhotos`; read by the executor and by reports on a run.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Final

from components.common.errors import UserError
from components.image_validator.photo import Reason

_PHRASES: Final[Mapping[str, str]] = {
    Reason.EMPTY.value: "empty",
    Reason.TOO_MANY_BYTES.value: "too many bytes",
    Reason.NOT_AN_IMAGE.value: "not an image",
    Reason.UNSUPPORTED_FORMAT.value: "in an unsupported format",
    Reason.TOO_MANY_PIXELS.value: "too many pixels",
    Reason.ANIMATED.value: "animated",
    Reason.TRUNCATED.value: "truncated",
    Reason.UNDECODABLE.value: "undecodable",
    Reason.LABEL_CONFLICT.value: "with the same bytes under two labels",
    Reason.NEAR_DUPLICATE_LABEL_CONFLICT.value: "near-duplicates under two labels",
}


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts of one validation; the fields of `quarantine.json`.

    Attributes:
        photos: Photos read, by split.
        quarantined: Photos left out because they are unusable, by reason code.
        dropped_from_evaluation: Photos left out because another split has them, by reason code.
        moved_to_train: Photos moved because another split has them, by reason code.
        duplicates_kept: Photos beyond the first of a picture that stay: "exact" (equal bytes) and "near".
        split_counts: Photos written, by split.
        class_counts: Photos written, by split and class name.
        formats: Photos read, by file format; those of other formats are missing.
        color_modes: Photos read, by Pillow's mode such as "RGB", "L" (grayscale) or "CMYK".
        first_ids: For every reason code, the first photo of the listing with it.
    """

    photos: dict[str, int]
    quarantined: dict[str, int]
    dropped_from_evaluation: dict[str, int]
    moved_to_train: dict[str, int]
    duplicates_kept: dict[str, int]
    split_counts: dict[str, int]
    class_counts: dict[str, dict[str, int]]
    formats: dict[str, int]
    color_modes: dict[str, int]
    first_ids: dict[str, str]

    @property
    def num_quarantined(self) -> int:
        """Number of photos left out because they are unusable."""
        return sum(self.quarantined.values())

    def to_json(self) -> str:
        """Returns the content of `quarantine.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Summary":
        """Reads the content of `quarantine.json`.

        Args:
            text: What `to_json` returned.
        """
        return cls(**json.loads(text))

    def describe(self) -> str:
        """Returns one line for the user, such as "3,217 of 3,219 photos usable: 1 truncated, 1 not an image"."""
        photos = sum(self.photos.values())
        line = f"{photos - self.num_quarantined:,} of {photos:,} photos usable"
        if self.quarantined:
            by_count = sorted(self.quarantined.items(), key=lambda item: (-item[1], item[0]))
            line += ": " + ", ".join(f"{count:,} {_PHRASES[reason]}" for reason, count in by_count)
        for counts, done in (
            (self.dropped_from_evaluation, "dropped from evaluation"),
            (self.moved_to_train, "moved to the train split"),
        ):
            if counts:
                line += f"; {sum(counts.values()):,} cross-split duplicates {done}"
        return line


def check_usable(summary: Summary, max_quarantine_share: float) -> None:
    """Stops the run when too little of the data is of use.

    Args:
        summary: Counts of the validation.
        max_quarantine_share: Largest share of photos that may be unusable, in [0, 1]. Duplicates dropped from
            evaluation do not count.

    Raises:
        UserError: More photos are unusable, or a split that had photos has none left.
    """
    photos, unusable = sum(summary.photos.values()), summary.num_quarantined
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
                f"no photo of the {split} split's {count:,} is left after validation ({summary.describe()}); "
                "mend the photos or the split"
            )
