"""ImageSchemaGen, which writes the schema of raw examples: an inferred one would accept whatever the data holds."""

import json

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import io_utils

from components.contracts import CLASS_NAMES_PROPERTY
from components.contracts.schema import build_schema


@component
def ImageSchemaGen(
    examples: InputArtifact[standard_artifacts.Examples], schema: OutputArtifact[standard_artifacts.Schema]
) -> None:
    """Writes `schema.pbtxt` for the class names in the examples' custom property."""
    class_names = json.loads(examples.get_string_custom_property(CLASS_NAMES_PROPERTY))
    io_utils.write_pbtxt_file(f"{schema.uri}/schema.pbtxt", build_schema(class_names))
