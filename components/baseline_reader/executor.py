"""Executor of BaselineReader."""

import logging
from typing import Any, Final

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components.common.errors import UserError
from components.contracts.drift import SAMPLE_FILE
from components.contracts.serving_folder import (
    BASELINE_VERSION_PROPERTY,
    LATEST_BLESSED_FILE,
    NO_VERSION,
    latest_version,
    path_in,
    photos_path,
    read_latest,
)
from components.modeling.backbones.digest import content_digest

logger = logging.getLogger(__name__)

SERVING_MODEL_DIR_KEY: Final = "serving_model_dir"
CANDIDATE_KEY: Final = "candidate"
MODEL_KEY: Final = standard_component_specs.MODEL_KEY


class Executor(base_executor.BaseExecutor):
    """Reads the pointer and copies the model that it names."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        folder = exec_properties[SERVING_MODEL_DIR_KEY]
        model = artifact_utils.get_single_instance(output_dict[MODEL_KEY])
        candidate = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[CANDIDATE_KEY]))
        version = _baseline_version(folder, candidate)
        model.set_string_custom_property(BASELINE_VERSION_PROPERTY, version)
        if version == NO_VERSION:
            logger.info("No other model has been pushed to %s: there is no baseline", folder)
        else:
            io_utils.copy_dir(path_in(folder, version), path_utils.serving_model_dir(model.uri))
            # Beside the SavedModel's folder, for DriftDetector.
            if fileio.exists(photos := photos_path(folder, version)):
                fileio.copy(photos, path_in(model.uri, SAMPLE_FILE), overwrite=True)
            logger.info("The baseline is version %s of %s", version, folder)


def _baseline_version(folder: str, candidate: str) -> str:
    latest = read_latest(folder)
    if latest is None:
        if version := latest_version(folder):
            logger.warning(
                "%s has version %d but no %s: none of its versions is taken as the baseline",
                folder, version, LATEST_BLESSED_FILE,
            )  # fmt: skip
        return NO_VERSION
    if not fileio.exists(path_in(folder, latest.version)):
        raise UserError(
            f"{LATEST_BLESSED_FILE} in {folder} names version {latest.version}, which is not there: put it back, or "
            f"delete {LATEST_BLESSED_FILE} to go on without a baseline"
        )
    if content_digest(path_in(folder, latest.version)) != content_digest(candidate):
        return latest.version
    logger.info("The model is version %s of %s already", latest.version, folder)
    is_there = latest.baseline_version != NO_VERSION and fileio.exists(path_in(folder, latest.baseline_version))
    return latest.baseline_version if is_there else NO_VERSION
