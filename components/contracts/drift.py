"""Files of DriftDetector's Drift artifact."""

import dataclasses
from collections.abc import Sequence
from typing import Final

from components.common.text import counted

DRIFT_KEY: Final = "drift"  # input of Pusher: the Drift of the model that it pushes
DRIFT_FILE: Final = "drift.json"  # `DriftReport`
SAMPLE_FILE: Final = "photos.npz"  # `PhotoSample` of `components.drift_detector`, for comparison with later runs

# Of each comparison: the highest rate of false alarms.
SIGNIFICANCE: Final = 0.01


@dataclasses.dataclass(frozen=True)
class Shift:
    """One comparison."""

    what: str  # "labels", "longer sides", "shorter sides" or "features"
    measure: str  # name of the measure of `value`
    value: float  # distance between the photos of both runs
    limit: float  # largest distance that is not drift
    p_value: float  # probability of this value or a higher one by chance alone
    moved: bool  # whether the value is above the limit, and significantly so
    detail: str  # the largest change, in a few words


@dataclasses.dataclass(frozen=True)
class ClassShift:
    """One class, and its shares of the photos."""

    name: str
    share_before: float
    share_now: float
    auc: float | None  # None: not measured


@dataclasses.dataclass(frozen=True)
class DriftReport:
    """How the photos differ from those of the latest blessed model."""

    photos: int
    baseline_photos: int  # 0 when nothing was compared
    shifts: Sequence[Shift]  # empty when nothing was compared
    classes: Sequence[ClassShift]
    remark: str  # why a comparison was skipped, in a clause; empty when none was

    @property
    def moved(self) -> bool:
        """Whether there is drift."""
        return any(shift.moved for shift in self.shifts)

    @property
    def summary(self) -> str:
        """All of it in one line."""
        if not self.shifts:
            return f"Drift: skipped ({self.remark})"
        found = [f"{shift.what} ({shift.detail})" for shift in self.shifts if shift.moved]
        where = f"found in {', '.join(found)}" if found else f"none in {', '.join(shift.what for shift in self.shifts)}"
        remark = f"; {self.remark}" if self.remark else ""
        photos = counted(self.baseline_photos, "photo")
        return f"Drift: {where}, compared with the latest blessed model's {photos}{remark}"
