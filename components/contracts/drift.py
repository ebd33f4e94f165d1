"""Files of DriftDetector's Drift artifact."""

import dataclasses
from collections.abc import Sequence
from typing import Final

DRIFT_KEY: Final = "drift"  # input of Pusher: the Drift of the model that it pushes
DRIFT_FILE: Final = "drift.json"  # `DriftReport`
SAMPLE_FILE: Final = "photos.npz"  # `PhotoSample` of `components.drift_detector`, for comparison with later runs

# Of each comparison: the highest rate of false alarms.
SIGNIFICANCE: Final = 0.01


@dataclasses.dataclass(frozen=True)
class Shift:
    """One comparison.

    Attributes:
        what: "labels", "longer sides", "shorter sides" or "features".
        measure: Name of the measure of `value`.
        value: Distance between the photos of both runs.
        limit: Largest distance that is not drift.
        p_value: Probability of this value or a higher one by chance alone.
        moved: Whether the value is above the limit, and significantly so.
        detail: The largest change, in a few words.
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
    """One class: its share of the photos before and now, and the AUC of its photos (None: not measured)."""

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
        shifts: The comparisons; empty when nothing was compared.
        classes: The same by class.
        remark: Why a comparison was skipped, in a clause; empty when none was.
    """

    photos: int
    baseline_photos: int
    shifts: Sequence[Shift]
    classes: Sequence[ClassShift]
    remark: str

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
        return f"Drift: {where}, compared with the latest blessed model's {self.baseline_photos:,} photos{remark}"
