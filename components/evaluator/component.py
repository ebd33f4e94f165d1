"""TFX's Evaluator with an executor that also leaves readable results."""

from tfx.components.evaluator import component
from tfx.dsl.components.base import executor_spec

from components.evaluator.executor import Executor


class Evaluator(component.Evaluator):
    """TFX's Evaluator; its evaluation artifact also holds `metrics.json` and `predictions.jsonl`."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
