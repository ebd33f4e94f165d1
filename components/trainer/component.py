"""TFX's Trainer with an executor that also tells where the photos are."""

from typing import Any

from tfx import types
from tfx.components.trainer import component
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.trainer.executor import PHOTOS_KEY, Executor


class TrainerSpec(standard_component_specs.TrainerSpec):
    """TFX's, with the photos that features were made of."""

    INPUTS = {
        **standard_component_specs.TrainerSpec.INPUTS,
        PHOTOS_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class Trainer(component.Trainer):
    """TFX's Trainer on feature examples; TensorBoard shows the photos that they were made of."""

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        run_fn: str,
        *,
        examples: types.BaseChannel,
        photos: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        base_model: types.BaseChannel,
        train_args: trainer_pb2.TrainArgs,
        eval_args: trainer_pb2.EvalArgs,
        custom_config: dict[str, Any],
        hyperparameters: types.BaseChannel | None = None,
    ):
        """Constructs a Trainer.

        Args:
            run_fn: The dotted name of the function that trains.
            examples: Feature examples.
            photos: The raw examples that they were made of.
            transform_graph: Transform's graph.
            schema: The schema, which names the classes.
            base_model: The backbone.
            train_args: The splits to train on.
            eval_args: The splits to validate on.
            custom_config: What `run_fn` is told besides.
            hyperparameters: What a Tuner found.
        """
        spec = TrainerSpec(
            examples=examples,
            photos=photos,
            transform_graph=transform_graph,
            schema=schema,
            base_model=base_model,
            hyperparameters=hyperparameters,
            train_args=train_args,
            eval_args=eval_args,
            run_fn=run_fn,
            custom_config=json_utils.dumps(custom_config),
            model=types.Channel(type=standard_artifacts.Model),
            model_run=types.Channel(type=standard_artifacts.ModelRun),
        )
        # TFX's own constructor knows no inputs but its spec's.
        base_component.BaseComponent.__init__(self, spec=spec)
