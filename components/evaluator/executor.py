"""Executor of Evaluator: TFX's own, then results that need no TFMA to be read."""

import dataclasses
import json
from collections.abc import Container, Iterable
from typing import Any, Final

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import BASELINE_MODEL_KEY, MODULE_PATH_KEY
from tfx.utils import io_utils, json_utils, path_utils, proto_utils

from components.contracts import BACKBONE_DIGEST_PROPERTY
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
from components.evaluator import extraction, metrics, predictions
from components.evaluator.feature_classifier import load_classifier, load_model
from components.evaluator.missing_baseline import without_missing_baseline
from components.modeling.input_pipeline import read_serialized
from components.modeling.serving import SERVING_SIGNATURE
from components.photos.keyed_photos import PhotoKey, first_photos
from components.storage.examples_io import class_names_of

PHOTOS_KEY: Final = "photos"
_BASELINE = "baseline"
_CANDIDATE = "candidate"


class Executor(evaluator_executor.Executor):
    """Evaluates with TFMA, then writes `metrics.json` and `predictions.jsonl` into the evaluation artifact.

    The artifact's custom properties carry `split`, `accuracy`, `loss` and `serving_difference`, so that a query of
    ML Metadata alone tells how a model did.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        input_dict = without_missing_baseline(input_dict)
        class_names = class_names_of(artifact_utils.get_single_instance(input_dict["examples"]))
        eval_config = config_pb2.EvalConfig()
        proto_utils.json_to_proto(exec_properties["eval_config"], eval_config)
        signature_name = eval_config.model_specs[0].signature_name
        ignored = _other_classes(input_dict.get(BASELINE_MODEL_KEY), class_names, signature_name)
        if ignored is not None:
            input_dict = {key: artifacts for key, artifacts in input_dict.items() if key != BASELINE_MODEL_KEY}
        examples = _examples_to_classify(input_dict, signature_name)
        inputs = {**input_dict, "examples": [examples]}
        super().Do(inputs, output_dict, {**exec_properties, MODULE_PATH_KEY: extraction.__name__})

        evaluation = artifact_utils.get_single_instance(output_dict["evaluation"])
        (split,) = json_utils.loads(exec_properties["example_splits"])
        model_path = _model_path(input_dict["model"])
        classify = load_classifier(model_path, signature_name)
        photos = first_photos(_files(input_dict[PHOTOS_KEY], split), predictions.SAMPLE_SIZE)
        predicted = predictions.predict(classify, read_serialized(_files([examples], split)))
        sample = _write_predictions(evaluation, predicted, photos)
        serve = load_model(model_path).signatures[SERVING_SIGNATURE]
        difference = predictions.serving_difference(sample, serve, photos)
        summary = dataclasses.replace(
            _summarize(evaluation.uri, class_names, split, bool(input_dict.get(BASELINE_MODEL_KEY)), difference),
            ignored_baseline_classes=ignored,
        )
        _write_summary(evaluation, summary)


def _model_path(models: list[types.Artifact]) -> str:
    path: str = path_utils.serving_model_path(artifact_utils.get_single_uri(models))
    return path


def _other_classes(
    baseline: list[types.Artifact] | None, class_names: list[str], signature_name: str
) -> list[str] | None:
    """Returns the classes of a baseline that cannot be compared with, for they are others; None if it can be."""
    if not baseline:
        return None
    found = load_classifier(_model_path(baseline), signature_name).class_names
    return None if found == class_names else found


def _examples_to_classify(input_dict: dict[str, list[types.Artifact]], signature_name: str) -> types.Artifact:
    """Returns the feature examples if their backbone is that of every model, otherwise the photos."""
    features = artifact_utils.get_single_instance(input_dict["examples"])
    digest = features.get_string_custom_property(BACKBONE_DIGEST_PROPERTY)
    models = (input_dict[key] for key in ("model", BASELINE_MODEL_KEY) if input_dict.get(key))
    if all(load_classifier(_model_path(model), signature_name).backbone_digest == digest for model in models):
        return features
    return artifact_utils.get_single_instance(input_dict[PHOTOS_KEY])


def _files(examples: list[types.Artifact], split: str) -> list[str]:
    return [io_utils.all_files_pattern(artifact_utils.get_split_uri(examples, split))]


def _write_predictions(
    evaluation: types.Artifact, predicted: Iterable[ExamplePrediction], wanted: Container[PhotoKey]
) -> list[ExamplePrediction]:
    """Writes all predictions, and returns those on the photos that are wanted."""
    found = []
    with fileio.open(f"{evaluation.uri}/{PREDICTIONS_FILE}", "w") as file:
        for prediction in predicted:
            file.write(json.dumps(dataclasses.asdict(prediction)) + "\n")
            if prediction.photo in wanted:
                found.append(prediction)
    return found


def _write_summary(evaluation: types.Artifact, summary: EvaluationMetrics) -> None:
    io_utils.write_string_file(f"{evaluation.uri}/{METRICS_FILE}", json.dumps(dataclasses.asdict(summary), indent=2))
    evaluation.set_string_custom_property(SPLIT_PROPERTY, summary.split)
    evaluation.set_float_custom_property(ACCURACY, summary.accuracy)
    evaluation.set_float_custom_property(LOSS, summary.loss)
    evaluation.set_float_custom_property(SERVING_DIFFERENCE_PROPERTY, summary.serving_difference)


def _summarize(
    path: str, class_names: list[str], split: str, has_baseline: bool, serving_difference: float
) -> EvaluationMetrics:
    candidate = tfma.load_eval_result(path, model_name=_CANDIDATE if has_baseline else None)
    baseline = tfma.load_eval_result(path, model_name=_BASELINE) if has_baseline else None
    return EvaluationMetrics(
        **vars(metrics.summarize(candidate, class_names, split)),
        baseline=metrics.summarize(baseline, class_names, split) if baseline else None,
        thresholds=metrics.threshold_results(path, class_names),
        serving_difference=serving_difference,
    )
