"""LabelReviewer, which lists the photos whose label their own features speak against."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.label_reviewer.artifacts import LabelReview
from components.label_reviewer.executor import Executor


class LabelReviewerSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of LabelReviewer."""

    PARAMETERS = {"memory": component_spec.ExecutionParameter(type=int)}
    INPUTS = {"features": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"label_review": component_spec.ChannelParameter(type=LabelReview)}


class LabelReviewer(base_component.BaseComponent):
    """Lists doubtful labels of all splits; it changes nothing."""

    SPEC_CLASS = LabelReviewerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, features: types.BaseChannel, memory: int = 10**9):
        """Constructs a LabelReviewer.

        Args:
            features: Feature examples of a FeatureExtractor.
            memory: Bytes for features; photos that do not fit are reviewed in groups that do.
        """
        super().__init__(
            LabelReviewerSpec(features=features, label_review=types.Channel(type=LabelReview), memory=memory)
        )
