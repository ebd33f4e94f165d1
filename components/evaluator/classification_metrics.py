"""Accuracy and cross-entropy as TFMA metrics on integer labels, computed with NumPy in float64.

Named by `pipeline.blessing` as a module of TFMA metrics. TFMA wraps the Keras metrics of these names, which costs
seconds of tracing in every evaluation, and sums in float32, in batches that differ from run to run.
"""

import abc
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

# What Keras clips probabilities to before it takes their logarithm.
_EPSILON = 1e-7
# The sum over weighted examples, and the sum of weights.
_Accumulator = tuple[float, float]


class _RatioCombineFn(beam.CombineFn, metaclass=abc.ABCMeta):
    """A ratio of two sums over examples."""

    def __init__(
        self,
        key: tfma.metrics.MetricKey,
        eval_config: config_pb2.EvalConfig,
        example_weighted: bool,
        label_id: int | None,
    ):
        self._label = label_id
        self._key = key
        self._eval_config = eval_config
        self._example_weighted = example_weighted

    @abc.abstractmethod
    def _value(self, label: int, probabilities: np.ndarray) -> tuple[float, float]:
        """Returns what one example adds to the ratio's two parts; 1 below the line is an ordinary mean."""

    def create_accumulator(self) -> _Accumulator:
        return 0.0, 0.0

    def add_input(self, accumulator: _Accumulator, element: metric_types.StandardMetricInputs) -> _Accumulator:
        total, weights = accumulator
        for label, probabilities, weight in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            example_weighted=self._example_weighted,
            flatten=False,
        ):
            above, below = self._value(int(label.item()), probabilities.ravel())
            total += above * float(weight.item())
            weights += below * float(weight.item())
        return total, weights

    def merge_accumulators(self, accumulators: Iterable[_Accumulator]) -> _Accumulator:
        totals, weights = zip(*accumulators, strict=True)
        return sum(totals), sum(weights)

    def extract_output(self, accumulator: _Accumulator) -> dict[tfma.metrics.MetricKey, float]:
        total, weights = accumulator
        return {self._key: total / weights if weights else float("nan")}


class _AccuracyCombineFn(_RatioCombineFn):
    def _value(self, label: int, probabilities: np.ndarray) -> tuple[float, float]:
        return float(np.argmax(probabilities) == label), 1.0


class _CrossEntropyCombineFn(_RatioCombineFn):
    def _value(self, label: int, probabilities: np.ndarray) -> tuple[float, float]:
        return -float(np.log(np.clip(float(probabilities[label]), _EPSILON, 1 - _EPSILON))), 1.0


class _PrecisionCombineFn(_RatioCombineFn):
    def _value(self, label: int, probabilities: np.ndarray) -> tuple[float, float]:
        predicted = np.argmax(probabilities) == self._label
        return float(predicted and label == self._label), float(predicted)


class _F1ScoreCombineFn(_RatioCombineFn):
    def _value(self, label: int, probabilities: np.ndarray) -> tuple[float, float]:
        predicted, actual = np.argmax(probabilities) == self._label, label == self._label
        return 2.0 * (predicted and actual), float(predicted) + float(actual)


class _RatioMetric(tfma.metrics.Metric):
    _combine_fn: type[_RatioCombineFn]

    def __init__(self, name: str, label_id: int | None = None):
        """Constructs the metric.

        Args:
            name: The name its value gets in TFMA's results.
            label_id: The label of the class that a metric of one class is about. (TFMA gives `class_id` a meaning of
                its own.)
        """
        super().__init__(metric_util.merge_per_key_computations(self._computations), name=name, label_id=label_id)

    def _computations(
        self,
        name: str,
        eval_config: config_pb2.EvalConfig,
        model_name: str = "",
        output_name: str = "",
        example_weighted: bool = False,
        *,
        label_id: int | None = None,
        **_: Any,
    ) -> metric_types.MetricComputations:
        key = tfma.metrics.MetricKey(
            name=name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
        )
        combine_fn = self._combine_fn(key, eval_config, example_weighted, label_id)
        return [tfma.metrics.MetricComputation(keys=[key], preprocessors=None, combiner=combine_fn)]


class Accuracy(_RatioMetric):
    """Share of examples whose label has the highest probability, in [0, 1]; the first of equal probabilities counts."""

    _combine_fn = _AccuracyCombineFn


class CrossEntropy(_RatioMetric):
    """Mean negative logarithm of the label's probability, in nats; probabilities are kept 1e-7 away from 0 and 1."""

    _combine_fn = _CrossEntropyCombineFn


class ClassPrecision(_RatioMetric):
    """Share of the examples taken for a class that are of it, the most probable class being the prediction."""

    _combine_fn = _PrecisionCombineFn


class ClassF1Score(_RatioMetric):
    """Harmonic mean of a class's precision and recall."""

    _combine_fn = _F1ScoreCombineFn
