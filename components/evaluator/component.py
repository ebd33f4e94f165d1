"""TFX's Evaluator with an executor that also leaves readable results.

Used twice by `pipeline.create_pipeline`, for the validation and for the test split.
"""

from tfx.components import evaluator
from tfx.dsl.components.base import executor_spec

from components.evaluator.executor import Executor


class Evaluator(evaluator.component.Evaluator):
    """TFX's Evaluator; its evaluation artifact also holds `metrics.json` and `predictions.jsonl`."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
