"""FeatureExtractor, which turns photos into feature vectors with a frozen backbone.

It runs once instead of in every epoch, and later runs that only change the head reuse its output from the cache.
"""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.common.errors import UserError
from components.feature_extractor.executor import Executor


class FeatureExtractorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of FeatureExtractor."""

    PARAMETERS = {"batch_size": component_spec.ExecutionParameter(type=int)}
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "backbone": component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {"features": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class FeatureExtractor(base_beam_component.BaseBeamComponent):
    """Writes a feature example for each raw example."""

    SPEC_CLASS = FeatureExtractorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        backbone: types.BaseChannel,
        batch_size: int = 32,
    ):
        """Takes raw examples, Transform's graph, BackboneImporter's model, and photos per forward pass, at least 1."""
        if batch_size < 1:
            raise UserError(f"the feature extraction batch size is {batch_size}; it must be at least 1")
        super().__init__(
            FeatureExtractorSpec(
                examples=examples,
                transform_graph=transform_graph,
                backbone=backbone,
                features=types.Channel(type=standard_artifacts.Examples),
                batch_size=batch_size,
            )
        )
