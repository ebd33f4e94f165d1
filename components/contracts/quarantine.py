"""What ImageValidator leaves: files of the Quarantine artifact; and what TfdsExampleGen tells it to list there."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Final

LISTING_FILE: Final = "quarantine.jsonl"  # one `QuarantineEntry` a line, sorted by split and id
SUMMARY_FILE: Final = "quarantine.json"  # `QuarantineSummary`
LEFT_OUT_FILE: Final = "left_out.jsonl"  # in TfdsExampleGen's Examples: a `QuarantineEntry` a line, sorted by id


class Reason(str, enum.Enum):
    """Why a photo or file was left out or moved."""

    HIDDEN = "hidden"
    OUTSIDE_CLASS_FOLDERS = "outside_class_folders"
    UNSUPPORTED_SUFFIX = "unsupported_suffix"
    NO_REGULAR_FILE = "no_regular_file"
    NO_LABEL = "no_label"
    DUPLICATE_PATH = "duplicate_path"
    MISSING_FILE = "missing_file"
    EMPTY = "empty"
    TOO_MANY_BYTES = "too_many_bytes"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_MANY_PIXELS = "too_many_pixels"
    ANIMATED = "animated"
    TRUNCATED = "truncated"
    UNDECODABLE = "undecodable"
    LABEL_CONFLICT = "label_conflict"
    NEAR_DUPLICATE_LABEL_CONFLICT = "near_duplicate_label_conflict"
    CROSS_SPLIT_DUPLICATE = "cross_split_duplicate"
    CROSS_SPLIT_NEAR_DUPLICATE = "cross_split_near_duplicate"
    RELABELLED = "relabelled"
    EXCLUDED = "excluded"


class Action(str, enum.Enum):
    """What was done with a photo that did not simply pass."""

    LEFT_OUT = "left_out"
    QUARANTINED = "quarantined"
    DROPPED_FROM_EVALUATION = "dropped_from_evaluation"
    MOVED_TO_TRAIN = "moved_to_train"
    REVIEWED = "reviewed"


@dataclasses.dataclass(frozen=True)
class DuplicatedPhoto:
    """Another photo of the same picture: its split, its id as text and its label, an index."""

    split: str
    id: str
    label: int


@dataclasses.dataclass(frozen=True)
class QuarantineEntry:
    """A photo that was left out or moved.

    Attributes:
        id: The example's id as text; of a file that became no example, its path below the photo folder.
        split: The split that it came in; empty when it became no example.
        label: Its class, an index; -1 when it had none.
        class_name: The class's name; the label as text when it has none, empty when it became no example.
        action: What was done with it.
        reason: Why.
        detail: The reason in words.
        duplicate_of: The photo that shows the same picture; None where that is not the reason.
    """

    id: str
    split: str
    label: int
    class_name: str
    action: Action
    reason: Reason
    detail: str
    duplicate_of: DuplicatedPhoto | None = None


@dataclasses.dataclass(frozen=True)
class QuarantineSummary:
    """Counts of one validation.

    Attributes:
        photos: Photos read, by split.
        quarantined: Photos left out because they are unusable, by reason.
        dropped_from_evaluation: Photos left out because another split has them, by reason.
        moved_to_train: Photos moved because another split has them, by reason.
        duplicates_kept: Photos beyond the first of a picture that stay: "exact" (equal bytes) and "near".
        split_counts: Photos written, by split.
        class_counts: Photos written, by split and class name.
        formats: Photos read, by file format; those of other formats are missing.
        converted: Those of them that were converted to JPEG before, by the format that they were in.
        color_modes: Photos read, by Pillow's mode such as "RGB", "L" (grayscale) or "CMYK".
        first_ids: For every reason, the first photo of the listing with it.
        left_out: Files below the photo folder that were not even read as photos, by reason.
        left_out_suffixes: Those of them with an unsupported suffix, by suffix.
        reviewed: Photos that a reviewer relabelled or excluded, by reason; the latter are no part of `photos`.
    """

    photos: Mapping[str, int]
    quarantined: Mapping[str, int]
    dropped_from_evaluation: Mapping[str, int]
    moved_to_train: Mapping[str, int]
    duplicates_kept: Mapping[str, int]
    split_counts: Mapping[str, int]
    class_counts: Mapping[str, Mapping[str, int]]
    formats: Mapping[str, int]
    color_modes: Mapping[str, int]
    first_ids: Mapping[str, str]
    converted: Mapping[str, int] = dataclasses.field(default_factory=dict)
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    left_out_suffixes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    reviewed: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def num_photos(self) -> int:
        """Photos read."""
        return sum(self.photos.values())

    @property
    def num_quarantined(self) -> int:
        """Photos left out because they are unusable."""
        return sum(self.quarantined.values())
