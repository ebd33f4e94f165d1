"""FeatureExtractor, which turns photos into feature vectors with a frozen backbone.

A frozen backbone is a pure function of the photo: running it once, as a Beam component, replaces running it in every
epoch, and its output is an artifact that every later run which only changes the head reuses from the cache.
"""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components import contracts
from components.common.errors import UserError
from components.feature_extractor.executor import Executor


class FeatureExtractorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of FeatureExtractor."""

    PARAMETERS = {
        "batch_size": component_spec.ExecutionParameter(type=int),
        "precision": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "backbone": component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {"features": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class FeatureExtractor(base_beam_component.BaseBeamComponent):
    """Runs every photo through the frozen backbone once and writes feature examples."""

    SPEC_CLASS = FeatureExtractorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        backbone: types.BaseChannel,
        batch_size: int = 32,
        precision: str = contracts.FLOAT32,
    ):
        """Constructs a FeatureExtractor.

        Args:
            examples: Raw examples with the splits train, validation and test.
            transform_graph: Transform's graph, which decodes and resizes photos.
            backbone: Model of a BackboneImporter.
            batch_size: Photos per forward pass of the backbone, at least 1.
            precision: What the backbone computes training photos' features in: float32, bfloat16, or auto, whichever
                of the two is faster by enough.

        Raises:
            UserError: `batch_size` is less than 1, or `precision` none of these.
        """
        if batch_size < 1:
            raise UserError(f"the feature extraction batch size is {batch_size}; it must be at least 1")
        if precision not in contracts.PRECISIONS:
            raise UserError(f"the precision is {precision!r}; it must be one of {', '.join(contracts.PRECISIONS)}")
        super().__init__(
            FeatureExtractorSpec(
                examples=examples,
                transform_graph=transform_graph,
                backbone=backbone,
                features=types.Channel(type=standard_artifacts.Examples),
                batch_size=batch_size,
                precision=precision,
            )
        )
