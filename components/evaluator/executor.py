"""Executor of Evaluator: one pass over a split feeds TFMA, `predictions.jsonl` and the check of the served model."""

import dataclasses
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import BASELINE_MODEL_KEY, EXAMPLES_KEY, MODEL_KEY
from tfx.utils import io_utils, json_utils, path_utils, proto_utils

from components.contracts import BACKBONE_DIGEST_PROPERTY, LABEL_KEY
from components.contracts.evaluation import (
    ACCURACY,
    LOSS,
    METRICS_FILE,
    PREDICTIONS_FILE,
    SERVING_DIFFERENCE_PROPERTY,
    SPLIT_PROPERTY,
    EvaluationMetrics,
    ExamplePrediction,
)
from components.evaluator import classifier, metrics
from components.evaluator.baseline import without_missing_baseline
from components.modeling.input_pipeline import read_serialized
from components.modeling.serving import SERVING_SIGNATURE
from components.photos.keyed_photos import PhotoKey, first_photos
from components.storage.examples_io import class_names_of

PHOTOS_KEY: Final = "photos"
_EVAL_CONFIG_FILE: Final = "eval_config.json"
_Artifacts = dict[str, list[types.Artifact]]


class Executor(base_beam_executor.BaseBeamExecutor):
    """Evaluates with TFMA, as TFX's own executor does, and also writes `metrics.json` and `predictions.jsonl`.

    TFX's executor lets TFMA classify the examples. Here they are classified once, in the order of their files, and TFMA
    gets the probabilities: results do not depend on the batches of a runner. The evaluation's custom properties hold
    `split`, `accuracy`, `loss` and `serving_difference`, for queries of ML Metadata.
    """

    def Do(self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]) -> None:
        inputs = without_missing_baseline(input_dict)
        evaluation = artifact_utils.get_single_instance(output_dict["evaluation"])
        class_names = class_names_of(artifact_utils.get_single_instance(inputs[EXAMPLES_KEY]))
        (split,) = json_utils.loads(exec_properties["example_splits"])
        config = config_pb2.EvalConfig()
        proto_utils.json_to_proto(exec_properties["eval_config"], config)
        config = metrics.resolve_classes(config, class_names)

        artifacts = {
            key: artifact_utils.get_single_instance(inputs[key])
            for key in (MODEL_KEY, BASELINE_MODEL_KEY)
            if inputs.get(key)
        }
        paths = {key: path_utils.serving_model_path(artifact.uri) for key, artifact in artifacts.items()}
        signature_name = config.model_specs[0].signature_name
        models = {key: classifier.load_classifier(path, signature_name) for key, path in paths.items()}
        ignored_classes = None
        if BASELINE_MODEL_KEY in models and models[BASELINE_MODEL_KEY].class_names != class_names:
            ignored_classes = models.pop(BASELINE_MODEL_KEY).class_names
            del artifacts[BASELINE_MODEL_KEY]

        photos = first_photos(_files(inputs[PHOTOS_KEY], split), classifier.SAMPLE_SIZE)
        examples = read_serialized(_files([_examples_to_classify(inputs, models.values())], split))
        batches = list(classifier.classify(models, examples))
        sample = _write_predictions(evaluation, batches, photos)
        serve = classifier.load_model(paths[MODEL_KEY]).signatures[SERVING_SIGNATURE]
        difference = classifier.serving_difference(sample, serve, photos)

        # TFMA's names of the models; without a baseline, thresholds on a change are removed.
        config = tfma.utils.update_eval_config_with_defaults(
            config, has_baseline=BASELINE_MODEL_KEY in models, rubber_stamp=True
        )
        names = {spec.name: BASELINE_MODEL_KEY if spec.is_baseline else MODEL_KEY for spec in config.model_specs}
        with self._make_beam_pipeline() as pipeline:
            extracts = pipeline | "Predictions" >> beam.Create(list(_extracts(batches, config, names)), reshuffle=False)
            _evaluate(extracts, config, evaluation.uri)
        _write_eval_config(config, {name: paths[key] for name, key in names.items()}, evaluation.uri)
        _write_blessing(output_dict, config, evaluation, artifacts)
        summary = metrics.load_metrics(evaluation.uri, class_names, split, difference, ignored_classes)
        _write_summary(evaluation, summary)


def _examples_to_classify(inputs: _Artifacts, models: Iterable[classifier.FeatureClassifier]) -> types.Artifact:
    """Returns the feature examples if their backbone is that of every model, otherwise the photos."""
    features = artifact_utils.get_single_instance(inputs[EXAMPLES_KEY])
    digest = features.get_string_custom_property(BACKBONE_DIGEST_PROPERTY)
    if all(model.backbone_digest == digest for model in models):
        return features
    return artifact_utils.get_single_instance(inputs[PHOTOS_KEY])


def _files(examples: list[types.Artifact], split: str) -> list[str]:
    return [io_utils.all_files_pattern(artifact_utils.get_split_uri(examples, split))]


def _write_predictions(
    evaluation: types.Artifact, batches: Iterable[classifier.ClassifiedBatch], wanted: Container[PhotoKey]
) -> list[ExamplePrediction]:
    """Writes the candidate's predictions, and returns those of the wanted photos."""
    found = []
    fileio.makedirs(evaluation.uri)
    with fileio.open(f"{evaluation.uri}/{PREDICTIONS_FILE}", "w") as file:
        for batch in batches:
            for prediction in batch.predictions(MODEL_KEY):
                file.write(json.dumps(dataclasses.asdict(prediction)) + "\n")
                if prediction.photo in wanted:
                    found.append(prediction)
    return found


def _extracts(
    batches: Iterable[classifier.ClassifiedBatch], config: config_pb2.EvalConfig, names: Mapping[str, str]
) -> Iterator[tfma.types.Extracts]:
    """Yields the output of TFMA's extractors: features to slice by, and predictions by model name."""
    prediction_key = config.model_specs[0].prediction_key
    for batch in batches:
        predictions = {name: {prediction_key: batch.probabilities[key]} for name, key in names.items()}
        (first, *others) = predictions.values()
        yield {
            tfma.FEATURES_KEY: {LABEL_KEY: batch.labels[:, np.newaxis]},
            tfma.PREDICTIONS_KEY: predictions if others else first,
        }


def _evaluate(extracts: beam.PCollection, config: config_pb2.EvalConfig, output: str) -> None:
    """Applies only the necessary steps of TFMA, because Beam takes long for every step, however few the examples."""
    for extractor in (
        tfma.extractors.LabelsExtractor(eval_config=config),
        tfma.extractors.UnbatchExtractor(),
        tfma.extractors.SliceKeyExtractor(eval_config=config, materialize=False),
    ):
        extracts = extracts | extractor.stage_name >> extractor.ptransform
    evaluator = tfma.evaluators.MetricsPlotsAndValidationsEvaluator(eval_config=config)
    writer = tfma.writers.MetricsPlotsAndValidationsWriter(
        output_paths={key: f"{output}/{key}" for key in (tfma.METRICS_KEY, tfma.VALIDATIONS_KEY)}, eval_config=config
    )
    _ = (extracts | evaluator.stage_name >> evaluator.ptransform) | writer.stage_name >> writer.ptransform


def _write_eval_config(config: config_pb2.EvalConfig, paths: Mapping[str, str], output: str) -> None:
    """Writes TFMA's file of its configuration and the models' paths."""
    run = config_pb2.EvalRun(
        eval_config=config,
        version=tfma.__version__,
        data_location="<user provided PCollection>",
        file_format="<unknown>",
        model_locations=paths,
    )
    io_utils.write_string_file(f"{output}/{_EVAL_CONFIG_FILE}", json_format.MessageToJson(run) + "\n")


def _write_blessing(
    outputs: _Artifacts,
    config: config_pb2.EvalConfig,
    evaluation: types.Artifact,
    models: Mapping[str, types.Artifact],
) -> None:
    """Writes TFX's blessing if there are thresholds."""
    if not tfma.metrics.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config):
        return
    blessing = artifact_utils.get_single_instance(outputs["blessing"])
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, models[MODEL_KEY].uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, models[MODEL_KEY].id)
    if baseline := models.get(BASELINE_MODEL_KEY):
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)
    blessed = tfma.load_validation_result(evaluation.uri).validation_ok
    name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    value = constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)


def _write_summary(evaluation: types.Artifact, summary: EvaluationMetrics) -> None:
    io_utils.write_string_file(f"{evaluation.uri}/{METRICS_FILE}", json.dumps(dataclasses.asdict(summary), indent=2))
    evaluation.set_string_custom_property(SPLIT_PROPERTY, summary.split)
    evaluation.set_float_custom_property(ACCURACY, summary.accuracy)
    evaluation.set_float_custom_property(LOSS, summary.loss)
    evaluation.set_float_custom_property(SERVING_DIFFERENCE_PROPERTY, summary.serving_difference)
