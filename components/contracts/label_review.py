"""What LabelReviewer leaves: files of the LabelReview artifact."""

import dataclasses
from collections.abc import Mapping
from typing import Final

LISTING_FILE: Final = "label_review.jsonl"  # one `DoubtfulLabel` a line, the most doubtful first
SUMMARY_FILE: Final = "label_review.json"  # `LabelReviewSummary`


@dataclasses.dataclass(frozen=True)
class DoubtfulLabel:
    """A photo that classifiers which were not told its label take for another class.

    Attributes:
        id: The example's id as text.
        split: Its split.
        label: The class that it was given.
        suggested_label: The class that they take it for.
        label_probability: What they give the first one, in [0, 1].
        suggested_probability: What they give the second one, in [0, 1].
    """

    id: str
    split: str
    label: str
    suggested_label: str
    label_probability: float
    suggested_probability: float


@dataclasses.dataclass(frozen=True)
class LabelReviewSummary:
    """Counts of one review.

    Attributes:
        photos: Photos reviewed, by split: those of classes with at least five.
        doubtful: Those of them whose label is doubtful, by split.
        accuracy: Share of the photos reviewed whose label cross-validation predicts, in [0, 1].
    """

    photos: Mapping[str, int]
    doubtful: Mapping[str, int]
    accuracy: float

    @property
    def num_doubtful(self) -> int:
        """Doubtful labels in all splits."""
        return sum(self.doubtful.values())
