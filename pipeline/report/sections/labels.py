"""Labels: the photos whose label is doubtful."""

import dataclasses
from collections.abc import Sequence
from typing import Final

from components.contracts import nodes
from components.contracts.label_review import DoubtfulLabel, LabelReviewSummary
from pipeline.records.run import Run
from pipeline.report.photos import Album, make_album

_SHOWN: Final = 48


@dataclasses.dataclass(frozen=True)
class Labels:
    """What LabelReviewer found, and pictures of the most doubtful; no summary when it did not run."""

    summary: LabelReviewSummary | None
    doubtful: Sequence[DoubtfulLabel]
    album: Album


def load(run: Run) -> Labels:
    """Finds the pictures."""
    doubtful = run.doubtful_labels[:_SHOWN]
    wanted = {(entry.split, entry.id) for entry in doubtful}
    return Labels(run.label_review, doubtful, make_album(run.folder(nodes.VALID_EXAMPLES), wanted=wanted))
