"""The graph's nodes behind training: evaluation, the baseline, Pusher, and the export for TensorFlow Lite."""

from tfx import types
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common import importer, resolver
from tfx.types import standard_artifacts

from components.baseline_reader.component import BaselineReader
from components.common.contracts import TEST_SPLIT, VALIDATION_SPLIT
from components.common.contracts.nodes import (
    BASELINE_IMPORTER,
    BASELINE_RESOLVER,
    EVALUATOR_TEST,
    EVALUATOR_VALIDATION,
)
from components.evaluator.baseline import LatestOtherBlessedModelStrategy
from components.evaluator.component import Evaluator
from components.pusher.component import Pusher
from pipeline.blessing import build_eval_config
from pipeline.config import NO_BASELINE, PUSHED_BASELINE, RESOLVER_BASELINE, PipelineConfig


def evaluation_nodes(
    config: PipelineConfig, features: types.BaseChannel, trainer: base_node.BaseNode
) -> list[base_node.BaseNode]:
    """Returns the nodes from the trained model to the pushed one, which comes last.

    Args:
        config: The whole configuration.
        features: Feature examples with the splits `validation` and `test`.
        trainer: What makes the model.
    """
    model = trainer.outputs["model"]
    baseline = _baseline(config, trainer)
    validation = Evaluator(
        examples=features,
        model=model,
        example_splits=[VALIDATION_SPLIT],
        eval_config=build_eval_config(),
    ).with_id(EVALUATOR_VALIDATION)
    test = Evaluator(
        examples=features,
        model=model,
        baseline_model=baseline.outputs["model"] if baseline else None,
        example_splits=[TEST_SPLIT],
        eval_config=build_eval_config(config.blessing, config.data.class_names),
    ).with_id(EVALUATOR_TEST)
    pusher = Pusher(
        model=model,
        model_blessing=test.outputs["blessing"],
        evaluation=test.outputs["evaluation"],
        serving_model_dir=config.serving_model_dir,
        baseline_model=baseline.outputs["model"] if baseline and config.baseline == PUSHED_BASELINE else None,
    )
    # Runners may run both evaluations at once; neither's failure may come after the push.
    pusher.add_upstream_node(validation)
    nodes: list[base_node.BaseNode] = [validation, test, pusher]
    return [baseline, *nodes] if baseline else nodes


def tflite_exporter(
    examples: types.BaseChannel, transform_graph: types.BaseChannel, pusher: base_node.BaseNode
) -> base_node.BaseNode:
    """Returns the node that converts what is pushed; it comes last, so that a conversion that fails costs no push.

    Args:
        examples: The photos.
        transform_graph: How they are decoded.
        pusher: What pushes the model.
    """
    # Imports the converter.
    from components.tflite_exporter.component import TFLiteExporter

    return TFLiteExporter(
        model=pusher.inputs["model"],
        examples=examples,
        transform_graph=transform_graph,
        model_blessing=pusher.inputs["model_blessing"],
    )


def _baseline(config: PipelineConfig, trainer: base_node.BaseNode) -> base_node.BaseNode | None:
    """Returns the node whose `model` a new model is compared with."""
    if config.baseline == NO_BASELINE:
        return None
    if config.baseline == PUSHED_BASELINE:
        return BaselineReader(serving_model_dir=config.serving_model_dir, candidate=trainer.outputs["model"])
    if config.baseline != RESOLVER_BASELINE:
        model = importer.Importer(
            source_uri=config.baseline, artifact_type=standard_artifacts.Model, output_key="model"
        )
        return model.with_id(BASELINE_IMPORTER)
    latest = resolver.Resolver(
        strategy_class=LatestOtherBlessedModelStrategy,
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        candidate=trainer.outputs["model"],
    )
    return latest.with_id(BASELINE_RESOLVER)
