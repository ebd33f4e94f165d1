"""Files of LabelReviewer's LabelReview artifact."""

import dataclasses
from collections.abc import Mapping
from typing import Final

LISTING_FILE: Final = "label_review.jsonl"  # one `DoubtfulLabel` a line, the most doubtful first
SUMMARY_FILE: Final = "label_review.json"  # `LabelReviewSummary`


@dataclasses.dataclass(frozen=True)
class DoubtfulLabel:
    """A photo that cross-validation assigns to another class; probabilities are in [0, 1]."""

    id: str
    split: str
    label: str
    suggested_label: str
    label_probability: float
    suggested_probability: float


@dataclasses.dataclass(frozen=True)
class LabelReviewSummary:
    """Counts of one review."""

    photos: Mapping[str, int]  # reviewed photos by split: those of classes with at least five
    doubtful: Mapping[str, int]  # doubtful labels by split
    accuracy: float  # share of the reviewed photos whose label cross-validation predicts, in [0, 1]

    @property
    def num_doubtful(self) -> int:
        """Doubtful labels in all splits."""
        return sum(self.doubtful.values())
