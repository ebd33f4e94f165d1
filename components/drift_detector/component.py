"""DriftDetector, which compares a run's photos with those of the latest blessed model.

TFX's own DistributionValidator compares statistics of raw examples. They hold neither sizes nor features, and numbers
instead of class names.
"""

import dataclasses
import json
import logging

import tensorflow as tf
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts

from components.common.errors import first_line
from components.contracts.artifact_types import Drift
from components.contracts.drift import DRIFT_FILE, SAMPLE_FILE, DriftReport
from components.contracts.serving_folder import BASELINE_VERSION_PROPERTY, NO_VERSION
from components.drift_detector.comparison import compare_samples
from components.drift_detector.photo_sample import PhotoSample, take_sample

logger = logging.getLogger(__name__)


@component
def DriftDetector(
    examples: InputArtifact[standard_artifacts.Examples],
    features: InputArtifact[standard_artifacts.Examples],
    drift: OutputArtifact[Drift],
    baseline_drift: InputArtifact[Drift] = None,
    baseline_model: InputArtifact[standard_artifacts.Model] = None,
) -> None:
    """Tests labels, sizes and features for drift; it never stops a run.

    Writes the report, and a sample of the photos for later runs. The baseline's sample is in `baseline_drift`, or else
    in a BaselineReader's `baseline_model`.
    """
    now = take_sample(examples, features)
    before = _read_baseline(baseline_drift or baseline_model)
    if isinstance(before, PhotoSample):
        report = compare_samples(before, now)
    else:
        report = DriftReport(now.total, 0, (), (), before)
    fileio.makedirs(drift.uri)
    now.write(f"{drift.uri}/{SAMPLE_FILE}")
    with fileio.open(f"{drift.uri}/{DRIFT_FILE}", "w") as file:
        file.write(json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False) + "\n")
    logger.info("%s", report.summary)


def _read_baseline(baseline: types.Artifact | None) -> PhotoSample | str:
    """Returns the baseline's sample, or why there is none."""
    if baseline is None or baseline.get_string_custom_property(BASELINE_VERSION_PROPERTY) == NO_VERSION:
        return "no earlier blessed model"
    path = f"{baseline.uri}/{SAMPLE_FILE}"
    try:
        if not fileio.exists(path):
            return "the latest blessed model has no sample of its photos"
        return PhotoSample.read(path)
    except (OSError, ValueError, tf.errors.OpError) as error:
        return f"the sample of the latest blessed model's photos cannot be read: {first_line(error)}"
