"""Mistakes: the photos that the model was surest of, and wrong."""

import dataclasses
from collections.abc import Mapping

from components.contracts import nodes
from pipeline.records.run import Run
from pipeline.report.evaluations import Evaluation, load_evaluations
from pipeline.report.photos import Album, make_album


@dataclasses.dataclass(frozen=True)
class Mistakes:
    """The evaluations, by split, and pictures of their mistakes."""

    evaluations: Mapping[str, Evaluation]
    album: Album


def load(run: Run) -> Mistakes:
    """Finds the pictures."""
    evaluations = load_evaluations(run)
    wanted = {(split, mistake.id) for split, evaluation in evaluations.items() for mistake in evaluation.mistakes}
    return Mistakes(evaluations, make_album(run.folder(nodes.VALID_EXAMPLES), wanted=wanted))
