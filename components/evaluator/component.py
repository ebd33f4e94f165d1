"""TFX's Evaluator with an executor that also writes results that can be read without TFMA."""

from collections.abc import Sequence

from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components.evaluator import component
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.evaluator.executor import PHOTOS_KEY, Executor


class EvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """TFX's specification, and the photos that the features were extracted from."""

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
        """Takes feature `examples` extracted from `photos`; `example_splits` names one split."""
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
        # TFX's own constructor has no argument for photos.
        base_component.BaseComponent.__init__(self, spec=spec)
