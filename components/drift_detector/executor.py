"""Executor of DriftDetector: photos and features in, a report of what has moved and a sample of them out."""

import dataclasses
import json
import logging
from typing import Any, Final

import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.common.errors import first_line
from components.contracts.drift import DRIFT_FILE, DRIFT_KEY, SAMPLE_FILE, DriftReport
from components.contracts.serving_folder import BASELINE_VERSION_PROPERTY, NO_VERSION
from components.drift_detector.photo_sample import PhotoSample, take_sample
from components.drift_detector.sample_comparison import compare_samples

logger = logging.getLogger(__name__)

EXAMPLES_KEY: Final = "examples"
FEATURES_KEY: Final = "features"
BASELINE_DRIFT_KEY: Final = "baseline_drift"
BASELINE_MODEL_KEY: Final = "baseline_model"


class Executor(base_executor.BaseExecutor):
    """Takes a sample, and compares it with the baseline's if there is one."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples, features = (
            artifact_utils.get_single_instance(input_dict[key]) for key in (EXAMPLES_KEY, FEATURES_KEY)
        )
        folder = artifact_utils.get_single_uri(output_dict[DRIFT_KEY])
        now = take_sample(examples, features)
        before = _read_baseline(input_dict)
        if isinstance(before, PhotoSample):
            report = compare_samples(before, now)
        else:
            report = DriftReport(now.total, 0, (), (), before)
        fileio.makedirs(folder)
        now.write(f"{folder}/{SAMPLE_FILE}")
        with fileio.open(f"{folder}/{DRIFT_FILE}", "w") as file:
            file.write(json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False) + "\n")
        logger.info("%s", report.summary)


def _read_baseline(input_dict: dict[str, list[types.Artifact]]) -> PhotoSample | str:
    """Returns the sample that a baseline left, or why there is none: drift is no reason to stop a run."""
    baselines = input_dict.get(BASELINE_DRIFT_KEY) or input_dict.get(BASELINE_MODEL_KEY)
    if not baselines or baselines[0].get_string_custom_property(BASELINE_VERSION_PROPERTY) == NO_VERSION:
        return "there is no other blessed model whose photos are known"
    path = f"{artifact_utils.get_single_uri(baselines)}/{SAMPLE_FILE}"
    try:
        if not fileio.exists(path):
            return "the sample of the latest blessed model's photos is not there"
        return PhotoSample.read(path)
    except (OSError, ValueError, tf.errors.OpError) as error:
        return f"the latest blessed model's photos cannot be read: {first_line(error)}"
