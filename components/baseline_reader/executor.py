"""Executor of BaselineReader."""

import json
import logging
from typing import Any, Final

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components.common.contracts import CLASS_NAMES_PROPERTY
from components.common.contracts.serving_folder import BASELINE_VERSION_PROPERTY, LATEST_BLESSED_FILE, NO_VERSION
from components.common.errors import UserError
from components.common.serving_folder import latest_version, path_in, read_latest

logger = logging.getLogger(__name__)

SERVING_MODEL_DIR_KEY: Final = "serving_model_dir"
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
        latest = read_latest(folder)
        if latest is None:
            if version := latest_version(folder):
                logger.warning(
                    "%s has version %d but no %s: none of its versions is taken as the baseline",
                    folder, version, LATEST_BLESSED_FILE,
                )  # fmt: skip
            logger.info("No model has been pushed to %s yet: there is no baseline", folder)
            model.set_string_custom_property(BASELINE_VERSION_PROPERTY, NO_VERSION)
            return
        source = path_in(folder, latest.version)
        if not fileio.exists(source):
            raise UserError(
                f"{LATEST_BLESSED_FILE} in {folder} names version {latest.version}, which is not there: put it back, "
                f"or delete {LATEST_BLESSED_FILE} to go on without a baseline"
            )
        io_utils.copy_dir(source, path_utils.serving_model_dir(model.uri))
        model.set_string_custom_property(BASELINE_VERSION_PROPERTY, latest.version)
        model.set_string_custom_property(CLASS_NAMES_PROPERTY, json.dumps(list(latest.class_names)))
        logger.info(
            "The baseline is version %s of %s: test accuracy %.4f when it was pushed",
            latest.version, folder, latest.accuracy,
        )  # fmt: skip
