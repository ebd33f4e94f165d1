"""The pipeline's graph, which is the same for every runner except for the source of the baseline."""

import json
import re
from typing import TypeVar

from tfx import types
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.transform.component import Transform
from tfx.dsl.components.base import base_component, base_node
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto import transform_pb2

from components.anomaly_gate import AnomalyGate
from components.backbone_importer import BackboneImporter
from components.common.code_digest import code_digest
from components.contracts import CODE_DIGEST_PARAMETER, SPLITS, TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.contracts.nodes import EVALUATOR_TEST, EVALUATOR_VALIDATION
from components.evaluator.component import Evaluator
from components.example_gen.component import PhotosFingerprint, TfdsExampleGen
from components.feature_extractor.component import FeatureExtractor
from components.image_schema_gen import ImageSchemaGen
from components.image_validator.component import ImageValidator
from components.label_reviewer import LabelReviewer
from components.pusher import Pusher
from pipeline.blessing import baseline_node, build_eval_config, drift_detector
from pipeline.config import PUSHED_BASELINE, PipelineConfig
from pipeline.training_nodes import training_nodes

_NodeT = TypeVar("_NodeT", bound=base_node.BaseNode)


class _Nodes(list[base_node.BaseNode]):
    """The nodes of a graph."""

    def add(self, node: _NodeT, after: base_node.BaseNode | None = None) -> _NodeT:
        """Adds a node, which runs after its inputs and, if given, after another node."""
        if isinstance(node, base_component.BaseComponent):
            _key_on_code(node)
        if after:
            node.add_upstream_node(after)
        self.append(node)
        return node


def _key_on_code(node: base_component.BaseComponent) -> None:
    """Makes the code that a component runs part of TFX's cache key: its executor and the functions it is given."""
    named = re.findall(r"\bcomponents(?:\.\w+)+", " ".join(map(str, node.spec.exec_properties.values())))
    # TFX's own way of adding a parameter to a spec (see its udf_utils).
    node.spec.exec_properties[CODE_DIGEST_PARAMETER] = code_digest(node.executor_spec.executor_class.__module__, *named)


def create_pipeline(config: PipelineConfig) -> tfx_pipeline.Pipeline:
    """Wires the components; a local runner adds its own metadata connection."""
    nodes = _Nodes()

    # Photos to valid examples.
    raw_examples = nodes.add(_example_gen(config, nodes)).outputs["examples"]
    validator = ImageValidator(examples=raw_examples, max_quarantine_share=config.data.max_quarantine_share)
    examples = nodes.add(validator).outputs["valid_examples"]
    schema = nodes.add(ImageSchemaGen(examples=examples)).outputs["schema"]
    statistics = nodes.add(StatisticsGen(examples=examples, schema=schema)).outputs["statistics"]
    anomalies = nodes.add(ExampleValidator(statistics=statistics, schema=schema)).outputs["anomalies"]
    gate = nodes.add(AnomalyGate(anomalies=anomalies, statistics=statistics))

    # Examples to features.
    importer = BackboneImporter(
        backbone=config.backbone.name,
        image_size=json.dumps(config.backbone.image_size),
        digest=config.backbone.digest,
    )
    backbone = nodes.add(importer).outputs["model"]
    transform_graph = nodes.add(_transform(config, examples, schema), after=gate).outputs["transform_graph"]
    extractor = FeatureExtractor(
        examples=examples, transform_graph=transform_graph, backbone=backbone, batch_size=config.backbone.batch_size
    )
    features = nodes.add(extractor, after=gate).outputs["features"]

    # Features to a trained model.
    for trainer in training_nodes(
        config, examples=examples, features=features, transform_graph=transform_graph, schema=schema, backbone=backbone
    ):
        nodes.add(trainer)
    model = trainer.outputs["model"]

    # Model to a pushed version.
    baseline = baseline_node(config, trainer)
    if baseline:
        nodes.add(baseline)
    baseline_model = baseline.outputs["model"] if baseline else None
    validation = Evaluator(
        examples=features,
        photos=examples,
        model=model,
        example_splits=[VALIDATION_SPLIT],
        eval_config=build_eval_config(),
    ).with_id(EVALUATOR_VALIDATION)
    nodes.add(validation)
    test = Evaluator(
        examples=features,
        photos=examples,
        model=model,
        baseline_model=baseline_model,
        example_splits=[TEST_SPLIT],
        eval_config=build_eval_config(config.blessing),
    ).with_id(EVALUATOR_TEST)
    nodes.add(test)
    drift = nodes.add(drift_detector(baseline, examples, features)).outputs["drift"]
    pusher = Pusher(
        model=model,
        model_blessing=test.outputs["blessing"],
        evaluation=test.outputs["evaluation"],
        serving_model_dir=config.serving_model_dir,
        baseline_model=baseline_model if config.baseline == PUSHED_BASELINE else None,
        drift=drift,
    )
    # A runner may run both evaluations at once; a failure of either must come before the push.
    nodes.add(pusher, after=validation)

    # Neither gates the push.
    if config.review_labels:
        nodes.add(LabelReviewer(features=features, memory=config.feature_memory), after=pusher)
    if config.export_tflite:
        nodes.add(_tflite_exporter(examples, transform_graph, pusher))
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=config.pipeline_root,
        components=list(nodes),
        enable_cache=config.enable_cache,
        beam_pipeline_args=list(config.beam_args),
    )


def _example_gen(config: PipelineConfig, nodes: _Nodes) -> TfdsExampleGen:
    """Returns the reader of the photos; in a compiled pipeline the node that digests them comes first."""
    data, fingerprint = config.data, config.data.fingerprint
    if data.fingerprint_per_run:
        digest = nodes.add(
            PhotosFingerprint(photos=data.photos, data_dir=data.data_dir, layout=data.layout, expected=fingerprint)
        )
        fingerprint = digest.outputs["fingerprint"].future()[0].value
    return TfdsExampleGen(data, fingerprint=fingerprint, corrections=data.corrections)


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


def _tflite_exporter(
    examples: types.BaseChannel, transform_graph: types.BaseChannel, pusher: base_node.BaseNode
) -> base_node.BaseNode:
    """Returns the node that converts the pushed model; a failed conversion does not stop the push."""
    # Imports the converter.
    from components.tflite_exporter.component import TFLiteExporter

    return TFLiteExporter(
        model=pusher.inputs["model"],
        examples=examples,
        transform_graph=transform_graph,
        model_blessing=pusher.inputs["model_blessing"],
    )
