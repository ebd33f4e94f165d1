"""The records that ImageValidator's steps pass to each other.

They hold no pixels and no file contents, so that grouping stays cheap.
"""

import dataclasses
import enum

PhotoKey = tuple[str, bytes, bytes]  # (split, id, SHA-256 of the file): an id alone may occur twice


class Reason(str, enum.Enum):
    """Why a photo was left out or moved; the value is the code in the quarantine's files."""

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


class Action(str, enum.Enum):
    """What was done with a photo that did not simply pass."""

    QUARANTINED = "quarantined"
    DROPPED_FROM_EVALUATION = "dropped_from_evaluation"
    MOVED_TO_TRAIN = "moved_to_train"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is wrong with a photo, seen on its own."""

    reason: Reason
    detail: str


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """Perceptual hashes of a photo, 8 bytes each (see `inspection.fingerprint`)."""

    phash: bytes
    dhash: bytes


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The result of looking at one file."""

    finding: Finding | None = None
    image_format: str = ""  # "JPEG", "PNG", "GIF" or "BMP"; empty when none of them
    color_mode: str = ""  # Pillow's, such as "RGB", "L" or "CMYK"; empty when the header could not be read
    fingerprint: Fingerprint | None = None  # None for unusable photos and for those with too little texture


@dataclasses.dataclass(frozen=True)
class Photo:
    """One example without its pixels."""

    split: str
    id: bytes
    label: int
    digest: bytes  # SHA-256 of the file
    inspection: Inspection

    @property
    def key(self) -> PhotoKey:
        """Identifies the photo among all splits."""
        return self.split, self.id, self.digest


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What happens to a photo that does not simply pass."""

    photo: Photo
    action: Action
    reason: Reason
    detail: str


def printable_id(example_id: bytes) -> str:
    """Returns an id as text; bytes that are not UTF-8 appear as escapes."""
    return example_id.decode("utf-8", "backslashreplace")
