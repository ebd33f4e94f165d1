"""Files of ImageValidator's Quarantine artifact, and the list of TfdsExampleGen that it includes there."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Final

LISTING_FILE: Final = "quarantine.jsonl"  # one `QuarantineEntry` a line, sorted by split and id
SUMMARY_FILE: Final = "quarantine.json"  # `QuarantineSummary`
LEFT_OUT_FILE: Final = "left_out.jsonl"  # in TfdsExampleGen's Examples: a `QuarantineEntry` a line, sorted by id


class Reason(str, enum.Enum):
    """Why a photo or file was excluded, moved or reported."""

    HIDDEN = "hidden"
    OUTSIDE_CLASS_FOLDERS = "outside_class_folders"
    UNSUPPORTED_SUFFIX = "unsupported_suffix"
    NO_REGULAR_FILE = "no_regular_file"
    NO_LABEL = "no_label"
    SEVERAL_LABELS = "several_labels"
    DUPLICATE_PATH = "duplicate_path"
    MISSING_FILE = "missing_file"
    AMBIGUOUS_FILE = "ambiguous_file"
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
    REPORTED = "reported"  # and kept


@dataclasses.dataclass(frozen=True)
class DuplicatedPhoto:
    """Another photo of the same picture: its split, its id as text and its label, an index."""

    split: str
    id: str
    label: int


@dataclasses.dataclass(frozen=True)
class QuarantineEntry:
    """A photo that was excluded, moved or reported, or a file that did not become an example."""

    id: str  # of the example; of a file, its path below the photo folder
    split: str  # before validation; empty for a file
    label: int  # -1 without a class
    class_name: str  # the label as text if the class has no name; empty for a file
    action: Action
    reason: Reason
    detail: str  # the reason in words
    duplicate_of: DuplicatedPhoto | None = None  # the photo of the same picture, if that is the reason


@dataclasses.dataclass(frozen=True)
class OddPhotos:
    """Photos that were written although they look odd in one way."""

    number: int
    examples: Sequence[tuple[str, str]]  # split and id of some of them


@dataclasses.dataclass(frozen=True)
class QuarantineSummary:
    """Counts of photos in one validation."""

    photos: Mapping[str, int]  # read, by split
    quarantined: Mapping[str, int]  # unusable, by reason
    dropped_from_evaluation: Mapping[str, int]  # excluded because another split has them, by reason
    moved_to_train: Mapping[str, int]  # moved because another split has them, by reason
    duplicates_kept: Mapping[str, int]  # beyond the first of a picture: "exact" (equal bytes) and "near"
    split_counts: Mapping[str, int]  # written, by split
    class_counts: Mapping[str, Mapping[str, int]]  # written, by split and class name
    formats: Mapping[str, int]  # read, by file format; without unsupported formats
    color_modes: Mapping[str, int]  # read, by Pillow's mode such as "RGB", "L" (grayscale) or "CMYK"
    first_ids: Mapping[str, str]  # the first photo of the listing, by reason
    converted: Mapping[str, int] = dataclasses.field(default_factory=dict)  # to JPEG, by original format
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)  # files that are not photos, by reason
    left_out_suffixes: Mapping[str, int] = dataclasses.field(default_factory=dict)  # of them, unsupported suffixes
    # Relabelled or excluded by a reviewer, by reason; excluded ones are not in `photos`.
    reviewed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    odd_looking: Mapping[str, OddPhotos] = dataclasses.field(default_factory=dict)  # by kind: "dark", "blurred", ...
    reported: Mapping[str, int] = dataclasses.field(default_factory=dict)  # kept, by reason
    # By reason, the ids of the first photo that is kept and reported, and of the one that it looks like.
    reported_examples: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    @property
    def num_photos(self) -> int:
        """Photos read."""
        return sum(self.photos.values())

    @property
    def num_quarantined(self) -> int:
        """Unusable photos."""
        return sum(self.quarantined.values())
