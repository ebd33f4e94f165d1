"""AnomalyGate, which stops a run when ExampleValidator found anomalies.

ExampleValidator itself only records anomalies; failing in a step of its own keeps that record in ML Metadata for the
user to read.
"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.anomaly_gate.executor import Executor


class AnomalyGateSpec(component_spec.ComponentSpec):
    """Inputs of AnomalyGate; it has no outputs."""

    PARAMETERS: dict[str, component_spec.ExecutionParameter] = {}
    INPUTS = {
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }
    OUTPUTS: dict[str, component_spec.ChannelParameter] = {}


class AnomalyGate(base_component.BaseComponent):
    """Fails with the anomalies' text when there are any, and on an empty split."""

    SPEC_CLASS = AnomalyGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, anomalies: types.BaseChannel, statistics: types.BaseChannel):
        """Constructs an AnomalyGate.

        Args:
            anomalies: ExampleAnomalies of an ExampleValidator.
            statistics: What it validated. TFDV finds nothing wrong with a split that holds no examples at all.
        """
        super().__init__(AnomalyGateSpec(anomalies=anomalies, statistics=statistics))
