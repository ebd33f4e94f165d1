"""DriftDetector, which compares a run's photos with those of the latest blessed model."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.contracts.artifacts import Drift
from components.contracts.drift import DRIFT_KEY
from components.drift_detector.executor import (
    BASELINE_DRIFT_KEY,
    BASELINE_MODEL_KEY,
    EXAMPLES_KEY,
    FEATURES_KEY,
    Executor,
)


class DriftDetectorSpec(component_spec.ComponentSpec):
    """Inputs and output of DriftDetector."""

    PARAMETERS: dict[str, component_spec.ExecutionParameter] = {}
    INPUTS = {
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        FEATURES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        BASELINE_DRIFT_KEY: component_spec.ChannelParameter(type=Drift, optional=True),
        BASELINE_MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {DRIFT_KEY: component_spec.ChannelParameter(type=Drift)}


class DriftDetector(base_component.BaseComponent):
    """Tells whether labels, sizes and features have moved; it stops no run.

    Its artifact also keeps a sample of the photos, for the runs that are compared with this one. TFX's own
    DistributionValidator compares statistics of raw examples, which know neither sizes nor features, and numbers of
    classes where there may be other classes; and Kubeflow has no Resolver to bring it the baseline's.
    """

    SPEC_CLASS = DriftDetectorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        features: types.BaseChannel,
        baseline_drift: types.BaseChannel | None = None,
        baseline_model: types.BaseChannel | None = None,
    ):
        """Constructs a DriftDetector.

        Args:
            examples: Raw examples.
            features: Feature examples of them.
            baseline_drift: What a DriftDetector wrote when the baseline was made.
            baseline_model: A BaselineReader's model, which brings that along; used without `baseline_drift`.
        """
        super().__init__(
            DriftDetectorSpec(
                examples=examples,
                features=features,
                baseline_drift=baseline_drift,
                baseline_model=baseline_model,
                drift=types.Channel(type=Drift),
            )
        )
