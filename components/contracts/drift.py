"""What DriftDetector leaves: files of the Drift artifact."""

import dataclasses
from collections.abc import Sequence
from typing import Final

DRIFT_KEY: Final = "drift"  # DriftDetector's output; also the input of Pusher, which tells whose it is
DRIFT_FILE: Final = "drift.json"  # `DriftReport`
# A sample of the photos, which the next runs compare theirs with; see `components.drift_detector.photo_sample`.
SAMPLE_FILE: Final = "photos.npz"

# Of each comparison: how often it finds a difference where there is none, at most.
SIGNIFICANCE: Final = 0.01


@dataclasses.dataclass(frozen=True)
class Shift:
    """One comparison.

    Attributes:
        what: What was compared: "labels", "longer sides", "shorter sides" or "features".
        measure: What `value` is, in words.
        value: How far apart the photos of both runs are.
        limit: What it may be.
        p_value: How often chance alone gives this value or a higher one.
        moved: Whether the value is above the limit, and not by chance.
        detail: What has changed most, in a few words.
    """

    what: str
    measure: str
    value: float
    limit: float
    p_value: float
    moved: bool
    detail: str


@dataclasses.dataclass(frozen=True)
class ClassShift:
    """One class: its share of the photos before and now, and how well its photos are told apart (None: not known)."""

    name: str
    share_before: float
    share_now: float
    auc: float | None


@dataclasses.dataclass(frozen=True)
class DriftReport:
    """How the photos differ from those of the latest blessed model.

    Attributes:
        photos: Photos of this run.
        baseline_photos: Photos of the baseline; 0 when nothing was compared.
        shifts: The comparisons.
        classes: The same by class.
        remark: What could not be compared, and why, in a clause; empty when everything was.
    """

    photos: int
    baseline_photos: int
    shifts: Sequence[Shift]
    classes: Sequence[ClassShift]
    remark: str

    @property
    def moved(self) -> bool:
        """Whether anything has."""
        return any(shift.moved for shift in self.shifts)

    @property
    def summary(self) -> str:
        """All of it in one line."""
        remark = f"; {self.remark}" if self.remark else ""
        if not self.shifts:
            return f"Drift: not looked for{remark}"
        than = f"the latest blessed model's {self.baseline_photos:,} photos"
        if self.moved:
            details = ", ".join(f"{shift.what} ({shift.detail})" for shift in self.shifts if shift.moved)
            return f"Drift: the data has moved from {than} in {details}{remark}"
        return f"Drift: none from {than} in {', '.join(shift.what for shift in self.shifts)}{remark}"
