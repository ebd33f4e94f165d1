"""The part of the graph from features to a trained model: Tuner, Trainer and the Trainer that fine-tunes."""

import dataclasses
from typing import Any

from tfx import types
from tfx.components.trainer import component as tfx_trainer
from tfx.dsl.components.base import base_component
from tfx.proto import trainer_pb2

from components.contracts import TRAIN_SPLIT, VALIDATION_SPLIT
from components.contracts.nodes import FINE_TUNING
from components.trainer.component import Trainer
from pipeline.config import PipelineConfig


def training_nodes(
    config: PipelineConfig,
    *,
    examples: types.BaseChannel,
    features: types.BaseChannel,
    transform_graph: types.BaseChannel,
    schema: types.BaseChannel,
    backbone: types.BaseChannel,
) -> list[base_component.BaseComponent]:
    """Wires training, and search and fine-tuning if configured; the last component's `model` is the pipeline's.

    `examples` are raw; the schema names the classes.
    """
    nodes: list[base_component.BaseComponent] = []
    common: dict[str, Any] = {
        "transform_graph": transform_graph,
        "schema": schema,
        "train_args": trainer_pb2.TrainArgs(splits=[TRAIN_SPLIT]),
        "eval_args": trainer_pb2.EvalArgs(splits=[VALIDATION_SPLIT]),
    }
    custom_config = {
        "hyperparameters": dataclasses.asdict(config.hyperparameters),
        "work_root": config.training_work_root,
    }
    feature_config = {**custom_config, "feature_memory": config.feature_memory}
    hyperparameters = None
    if config.tuning_trials:
        # Imports KerasTuner, and Keras 3 with it.
        from components.tuner.component import Tuner

        tuner = Tuner(
            tuner_fn="components.tuner.search.tuner_fn",
            examples=features,
            custom_config={**feature_config, "trials": config.tuning_trials},
            **common,
        )
        hyperparameters = tuner.outputs["best_hyperparameters"]
        nodes.append(tuner)
    trainer = Trainer(
        run_fn="components.trainer.run_fn.run_fn",
        examples=features,
        photos=examples,
        base_model=backbone,
        hyperparameters=hyperparameters,
        custom_config=feature_config,
        **common,
    )
    nodes.append(trainer)
    if config.fine_tuning:
        fine_tuner = tfx_trainer.Trainer(
            run_fn="components.trainer.fine_tuning.run_fn",
            examples=examples,
            base_model=trainer.outputs["model"],
            custom_config={**custom_config, "fine_tuning": dataclasses.asdict(config.fine_tuning)},
            **common,
        )
        nodes.append(fine_tuner.with_id(FINE_TUNING))
    return nodes
