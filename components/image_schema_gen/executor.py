"""Executor of ImageSchemaGen."""

import json
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.contracts import CLASS_NAMES_PROPERTY
from components.contracts.schema import build_schema


class Executor(base_executor.BaseExecutor):
    """Writes `schema.pbtxt` from the class names that ExampleGen recorded."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        class_names = json.loads(examples.get_string_custom_property(CLASS_NAMES_PROPERTY))
        schema = artifact_utils.get_single_instance(output_dict["schema"])
        io_utils.write_pbtxt_file(f"{schema.uri}/schema.pbtxt", build_schema(class_names))
