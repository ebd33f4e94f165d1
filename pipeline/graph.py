"""The pipeline's graph, the same for every runner but for where the baseline comes from."""

import re

from tfx import types
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.transform.component import Transform
from tfx.dsl.components.base import base_component, base_node
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto import transform_pb2

from components.anomaly_gate.component import AnomalyGate
from components.backbone_importer.component import BackboneImporter
from components.common.code_digest import code_digest
from components.contracts import CODE_DIGEST_PARAMETER, SPLITS, TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.contracts.nodes import EVALUATOR_TEST, EVALUATOR_VALIDATION
from components.evaluator.component import Evaluator
from components.example_gen.component import TfdsExampleGen
from components.example_gen.photos_fingerprint.component import PhotosFingerprint
from components.feature_extractor.component import FeatureExtractor
from components.image_schema_gen.component import ImageSchemaGen
from components.image_validator.component import ImageValidator
from components.label_reviewer.component import LabelReviewer
from components.pusher.component import Pusher
from pipeline.blessing import baseline_node, build_eval_config, drift_detector
from pipeline.config import PUSHED_BASELINE, PipelineConfig
from pipeline.training_nodes import training_nodes


def create_pipeline(config: PipelineConfig) -> tfx_pipeline.Pipeline:
    """Wires the components.

    Args:
        config: The whole configuration.

    Returns:
        A pipeline without a metadata connection; a local runner adds its own.
    """
    sources = _example_gen(config)
    validator = ImageValidator(
        examples=sources[-1].outputs["examples"], max_quarantine_share=config.data.max_quarantine_share
    )
    examples = validator.outputs["valid_examples"]
    schema_gen = ImageSchemaGen(examples=examples)
    schema = schema_gen.outputs["schema"]
    statistics_gen = StatisticsGen(examples=examples, schema=schema)
    example_validator = ExampleValidator(statistics=statistics_gen.outputs["statistics"], schema=schema)
    gate = AnomalyGate(
        anomalies=example_validator.outputs["anomalies"], statistics=statistics_gen.outputs["statistics"]
    )
    backbone = BackboneImporter(
        backbone=config.backbone.name, image_size=config.backbone.image_size, digest=config.backbone.digest
    )
    transform = _transform(config, examples, schema)
    extractor = FeatureExtractor(
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        backbone=backbone.outputs["model"],
        batch_size=config.backbone.batch_size,
        precision=config.backbone.precision,
    )
    for component in (transform, extractor):
        component.add_upstream_node(gate)
    features = extractor.outputs["features"]
    training = training_nodes(
        config,
        examples=examples,
        features=features,
        transform_graph=transform.outputs["transform_graph"],
        schema=schema,
        backbone=backbone.outputs["model"],
    )
    evaluation = _evaluate_and_push(config, examples, features, training[-1])
    pusher = evaluation[-1]
    extras: list[base_node.BaseNode] = []
    if config.review_labels:
        extras.append(LabelReviewer(features=features, memory=config.feature_memory))
        # Nobody waits for the review: it comes after the push.
        extras[-1].add_upstream_node(pusher)
    if config.export_tflite:
        extras.append(_tflite_exporter(examples, transform.outputs["transform_graph"], pusher))
    nodes = [
        *sources, validator, schema_gen, statistics_gen, example_validator, gate, backbone, transform, extractor,
        *training, *evaluation, *extras,
    ]  # fmt: skip
    for node in nodes:
        if isinstance(node, base_component.BaseComponent):
            _key_on_code(node)
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=config.pipeline_root,
        components=nodes,
        enable_cache=config.enable_cache,
        beam_pipeline_args=list(config.beam_args),
    )


def _key_on_code(node: base_component.BaseComponent) -> None:
    """Makes the code that a component runs part of TFX's cache key: its executor, and what its parameters name."""
    named = re.findall(r"\bcomponents(?:\.\w+)+", " ".join(map(str, node.spec.exec_properties.values())))
    # TFX's own way of adding a parameter to a spec (see its udf_utils).
    node.spec.exec_properties[CODE_DIGEST_PARAMETER] = code_digest(node.executor_spec.executor_class.__module__, *named)


def _example_gen(config: PipelineConfig) -> list[base_component.BaseComponent]:
    """Returns what reads the photos, last, behind what has to look at them first."""
    data, fingerprint, nodes = config.data, config.data.fingerprint, []
    if data.fingerprint_per_run:
        nodes.append(PhotosFingerprint(photos=data.photos, data_dir=data.data_dir, expected=fingerprint))
        fingerprint = nodes[0].outputs["fingerprint"].future()[0].value
    example_gen = TfdsExampleGen(
        dataset=data.dataset,
        photos=data.photos,
        data_dir=data.data_dir,
        fingerprint=fingerprint,
        split_fractions=data.split_fractions,
        split_method=data.split_method,
        group_by=data.group_by,
        corrections=data.corrections,
        num_photos=data.num_photos or None,
    )
    return [*nodes, example_gen]


def _transform(config: PipelineConfig, examples: types.BaseChannel, schema: types.BaseChannel) -> Transform:
    return Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=[TRAIN_SPLIT], transform=list(SPLITS)),
        # Only the graph is wanted: decoded pixels would be many times the size of the photos.
        materialize=False,
        disable_statistics=True,
        disable_analyzer_cache=True,
        custom_config={"image_size": list(config.backbone.image_size)},
    )


def _evaluate_and_push(
    config: PipelineConfig, photos: types.BaseChannel, features: types.BaseChannel, trainer: base_node.BaseNode
) -> list[base_node.BaseNode]:
    """Returns the nodes from the trained model to the pushed one."""
    model = trainer.outputs["model"]
    baseline = baseline_node(config, trainer)
    validation = Evaluator(
        examples=features,
        photos=photos,
        model=model,
        example_splits=[VALIDATION_SPLIT],
        eval_config=build_eval_config(),
    ).with_id(EVALUATOR_VALIDATION)
    test = Evaluator(
        examples=features,
        photos=photos,
        model=model,
        baseline_model=baseline.outputs["model"] if baseline else None,
        example_splits=[TEST_SPLIT],
        eval_config=build_eval_config(config.blessing, config.data.class_names),
    ).with_id(EVALUATOR_TEST)
    drift = drift_detector(baseline, photos, features)
    pusher = Pusher(
        model=model,
        model_blessing=test.outputs["blessing"],
        evaluation=test.outputs["evaluation"],
        serving_model_dir=config.serving_model_dir,
        baseline_model=baseline.outputs["model"] if baseline and config.baseline == PUSHED_BASELINE else None,
        drift=drift.outputs["drift"],
    )
    # Runners may run both evaluations at once; neither's failure may come after the push.
    pusher.add_upstream_node(validation)
    nodes: list[base_node.BaseNode] = [validation, test, drift, pusher]
    return [baseline, *nodes] if baseline else nodes


def _tflite_exporter(
    examples: types.BaseChannel, transform_graph: types.BaseChannel, pusher: base_node.BaseNode
) -> base_node.BaseNode:
    """Returns the node that converts what is pushed; it comes last, so that a conversion that fails costs no push."""
    # Imports the converter.
    from components.tflite_exporter.component import TFLiteExporter

    return TFLiteExporter(
        model=pusher.inputs["model"],
        examples=examples,
        transform_graph=transform_graph,
        model_blessing=pusher.inputs["model_blessing"],
    )
