"""Executor of Trainer: TFX's own, which knows no inputs but its own component's."""

from typing import Any, Final

from tfx import types
from tfx.components.trainer import executor
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import CUSTOM_CONFIG_KEY
from tfx.utils import io_utils, json_utils

from components.contracts import VALIDATION_SPLIT

PHOTOS_KEY: Final = "photos"
VALIDATION_PHOTOS: Final = "validation_photos"  # entry of `custom_config`: glob patterns of raw examples


class Executor(executor.GenericExecutor):
    """Tells the training function where the photos of the validation split are."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        photos = io_utils.all_files_pattern(artifact_utils.get_split_uri(input_dict[PHOTOS_KEY], VALIDATION_SPLIT))
        config = json_utils.loads(exec_properties[CUSTOM_CONFIG_KEY])
        config[VALIDATION_PHOTOS] = [photos]
        super().Do(input_dict, output_dict, {**exec_properties, CUSTOM_CONFIG_KEY: json_utils.dumps(config)})
