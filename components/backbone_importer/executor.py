"""Executor of BackboneImporter."""

import json
from typing import Any, Final

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components.common.errors import UserError
from components.contracts import (
    BACKBONE_DIGEST_PROPERTY,
    BACKBONE_HANDLE_PROPERTY,
    BACKBONE_LICENSE_PROPERTY,
    BACKBONE_SOURCE_PROPERTY,
    FEATURE_SIZE_PROPERTY,
    IMAGE_SIZE_PROPERTY,
    UNKNOWN,
)
from components.modeling.backbones.loading import prepare_backbone
from components.modeling.backbones.registry import find_backbone, resolve_handle

BACKBONE_KEY: Final = "backbone"
IMAGE_SIZE_KEY: Final = "image_size"
DIGEST_KEY: Final = "digest"
MODEL_KEY: Final = standard_component_specs.MODEL_KEY


class Executor(base_executor.BaseExecutor):
    """Resolves, checks and copies a backbone's SavedModel."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        backbone = exec_properties[BACKBONE_KEY]
        height_width = json.loads(exec_properties[IMAGE_SIZE_KEY])
        path, info = prepare_backbone(backbone, tuple(height_width) if height_width else None)
        expected = exec_properties[DIGEST_KEY]
        if expected not in ("", info.digest):
            raise UserError(
                f"backbone {backbone} has content digest {info.digest} where {expected} was expected: it has changed"
                " since the pipeline was made, or is another one; run again, or give the right digest"
            )
        model = artifact_utils.get_single_instance(output_dict[MODEL_KEY])
        io_utils.copy_dir(path, path_utils.serving_model_dir(model.uri))
        known = find_backbone(backbone)
        model.set_string_custom_property(BACKBONE_HANDLE_PROPERTY, resolve_handle(backbone))
        model.set_string_custom_property(BACKBONE_DIGEST_PROPERTY, info.digest)
        model.set_string_custom_property(IMAGE_SIZE_PROPERTY, json.dumps(list(info.image_size)))
        model.set_int_custom_property(FEATURE_SIZE_PROPERTY, info.feature_size)
        model.set_string_custom_property(BACKBONE_LICENSE_PROPERTY, known.license if known else UNKNOWN)
        model.set_string_custom_property(BACKBONE_SOURCE_PROPERTY, known.source if known else UNKNOWN)
