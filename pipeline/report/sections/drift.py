"""Drift: how the photos differ from those of the latest blessed model."""

from components.contracts.drift import DriftReport
from pipeline.records.run import Run


def load(run: Run) -> DriftReport | None:
    """Returns what DriftDetector found; None when it did not run."""
    return run.drift
