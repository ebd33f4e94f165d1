"""TFX's Evaluator with an executor that also leaves readable results."""

from collections.abc import Sequence

from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components.evaluator import component
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.evaluator.executor import PHOTOS_KEY, Executor


class EvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """TFX's, with the photos that features were made of."""

    INPUTS = {
        **standard_component_specs.EvaluatorSpec.INPUTS,
        PHOTOS_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class Evaluator(component.Evaluator):
    """TFX's Evaluator; its evaluation artifact also holds `metrics.json` and `predictions.jsonl`."""

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        photos: types.BaseChannel,
        model: types.BaseChannel,
        example_splits: Sequence[str],
        eval_config: config_pb2.EvalConfig,
        baseline_model: types.BaseChannel | None = None,
    ):
        """Constructs an Evaluator.

        Args:
            examples: Feature examples.
            photos: The raw examples that they were made of.
            model: The model.
            example_splits: One split.
            eval_config: What is measured, and what a model must reach.
            baseline_model: What it is compared with.
        """
        spec = EvaluatorSpec(
            examples=examples,
            photos=photos,
            model=model,
            baseline_model=baseline_model,
            example_splits=json_utils.dumps(example_splits),
            eval_config=eval_config,
            fairness_indicator_thresholds=json_utils.dumps(None),
            evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
            blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        )
        # TFX's own constructor knows no inputs but its spec's.
        base_component.BaseComponent.__init__(self, spec=spec)
