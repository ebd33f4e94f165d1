"""Executor of PhotosFingerprint."""

import logging
from typing import Any, Final

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.common.errors import UserError
from components.example_gen.data_source import DataSource, describe_source

logger = logging.getLogger(__name__)

PHOTOS_KEY: Final = "photos"
DATA_DIR_KEY: Final = "data_dir"
EXPECTED_KEY: Final = "expected"
FINGERPRINT_KEY: Final = "fingerprint"


class Executor(base_executor.BaseExecutor):
    """Digests the photos."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        photos, expected = exec_properties[PHOTOS_KEY], exec_properties[EXPECTED_KEY]
        found = describe_source(DataSource(photos=photos, data_dir=exec_properties[DATA_DIR_KEY])).fingerprint
        if expected not in ("", found):
            raise UserError(
                f"the photos in {photos} have the fingerprint {found} where {expected} was expected: they have changed "
                "since the pipeline was compiled; compile it anew, or leave photos_fingerprint empty to take any photos"
            )
        logger.info("Fingerprint of %s: %s", photos, found)
        artifact_utils.get_single_instance(output_dict[FINGERPRINT_KEY]).value = found
