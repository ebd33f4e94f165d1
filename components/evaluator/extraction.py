"""How TFMA gets from examples to predictions.

A user module to TFX's Evaluator executor, which calls `custom_extractors` by its name; `components.evaluator.executor`
names the module to it. TFX imports it anew every time, so it keeps no state.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.feature_classifier import FeatureClassifier, load_classifier


def custom_extractors(
    eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any
) -> list[tfma.extractors.Extractor]:
    """Returns TFMA's default extractors, but that predictions come from a `FeatureClassifier`.

    Args:
        eval_shared_model: One model, or candidate and baseline.
        eval_config: What is evaluated.
        tensor_adapter_config: How TFXIO's columns become tensors; None without a schema.

    Returns:
        Extractors for features, labels, weights, predictions and slice keys.
    """
    representations = tensor_adapter_config.tensor_representations if tensor_adapter_config else None
    models = eval_shared_model if isinstance(eval_shared_model, list) else [eval_shared_model]
    spec = eval_config.model_specs[0]
    predict = _PredictDoFn(
        {model.model_name: model.model_path for model in models}, spec.signature_name, spec.prediction_key
    )
    return [
        tfma.extractors.FeaturesExtractor(eval_config=eval_config, tensor_representations=representations),
        tfma.extractors.LabelsExtractor(eval_config=eval_config),
        tfma.extractors.ExampleWeightsExtractor(eval_config=eval_config),
        tfma.extractors.Extractor(stage_name="ExtractPredictions", ptransform=beam.ParDo(predict)),
        tfma.extractors.UnbatchExtractor(),
        tfma.extractors.SliceKeyExtractor(eval_config=eval_config, materialize=False),
    ]


class _PredictDoFn(beam.DoFn):
    """Adds predictions to batches of extracts, by model name if there are several models."""

    def __init__(self, paths: Mapping[str, str], signature_name: str, prediction_key: str):
        self._paths = dict(paths)
        self._signature_name = signature_name
        self._prediction_key = prediction_key

    def setup(self) -> None:
        self._classifiers: dict[str, FeatureClassifier] = {
            name: load_classifier(path, self._signature_name) for name, path in self._paths.items()
        }

    def process(self, extracts: tfma.types.Extracts) -> Iterator[tfma.types.Extracts]:
        examples = extracts[tfma.INPUT_KEY].flatten()
        predictions = {name: {self._prediction_key: classify(examples)} for name, classify in self._classifiers.items()}
        (first, *others) = predictions.values()
        yield {**extracts, tfma.PREDICTIONS_KEY: predictions if others else first}
