"""ImageSchemaGen, which writes the schema of raw examples from what ExampleGen knows of the dataset.

An inferred schema would accept whatever the data holds; the contract of raw examples is known beforehand, only the
classes differ between datasets.
"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.image_schema_gen.executor import Executor


class ImageSchemaGenSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of ImageSchemaGen."""

    PARAMETERS: dict[str, component_spec.ExecutionParameter] = {}
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class ImageSchemaGen(base_component.BaseComponent):
    """Writes a schema: `image`, `label` within the dataset's classes, `id`, each present exactly once."""

    SPEC_CLASS = ImageSchemaGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: types.BaseChannel):
        """Constructs an ImageSchemaGen.

        Args:
            examples: Examples with the `class_names` custom property.
        """
        super().__init__(
            ImageSchemaGenSpec(
                examples=examples,
                schema=types.Channel(type=standard_artifacts.Schema),
            )
        )
