"""Data: photos per class and split, and a chance selection of them."""

import dataclasses

from components.contracts import nodes
from pipeline.records.run import Run
from pipeline.report.photos import Album, make_album

_MAX_SAMPLES = 150  # pictures in the grid; about 5 kB each
_MAX_SAMPLES_PER_CLASS = 6
_MAX_SAMPLE_CLASSES = 50


@dataclasses.dataclass(frozen=True)
class Samples:
    """Pictures of the first `num_classes` classes."""

    album: Album
    num_classes: int


def load(run: Run) -> Samples:
    """Makes the samples."""
    num_classes = min(len(run.class_names), _MAX_SAMPLE_CLASSES)
    cells = max(1, num_classes * len(run.splits))
    per_class = max(1, min(_MAX_SAMPLES_PER_CLASS, _MAX_SAMPLES // cells))
    folder = run.folder(nodes.VALID_EXAMPLES) or run.folder(nodes.EXAMPLES)
    return Samples(make_album(folder, run.splits, per_class, num_classes), num_classes)
