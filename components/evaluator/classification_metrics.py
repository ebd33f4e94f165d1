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

# What Keras clips probabilities to before it takes their logarithm.
_EPSILON = 1e-7
# The sum over weighted examples, and the sum of weights.
_Accumulator = tuple[float, float]


class _MeanCombineFn(beam.CombineFn, metaclass=abc.ABCMeta):
    """The mean of a value per example."""

    def __init__(self, key: tfma.metrics.MetricKey, eval_config: tfma.EvalConfig, example_weighted: bool):
        self._key = key
        self._eval_config = eval_config
        self._example_weighted = example_weighted

    @abc.abstractmethod
    def _value(self, label: int, probabilities: np.ndarray) -> float:
        """Measures one example."""

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
            total += self._value(int(label.item()), probabilities.ravel()) * float(weight.item())
            weights += float(weight.item())
        return total, weights

    def merge_accumulators(self, accumulators: Iterable[_Accumulator]) -> _Accumulator:
        totals, weights = zip(*accumulators, strict=True)
        return sum(totals), sum(weights)

    def extract_output(self, accumulator: _Accumulator) -> dict[tfma.metrics.MetricKey, float]:
        total, weights = accumulator
        return {self._key: total / weights if weights else float("nan")}


class _AccuracyCombineFn(_MeanCombineFn):
    def _value(self, label: int, probabilities: np.ndarray) -> float:
        return float(np.argmax(probabilities) == label)


class _CrossEntropyCombineFn(_MeanCombineFn):
    def _value(self, label: int, probabilities: np.ndarray) -> float:
        return -float(np.log(np.clip(float(probabilities[label]), _EPSILON, 1 - _EPSILON)))


class _MeanMetric(tfma.metrics.Metric):
    _combine_fn: type[_MeanCombineFn]

    def __init__(self, name: str):
        """Constructs the metric.

        Args:
            name: The name its value gets in TFMA's results.
        """
        super().__init__(metric_util.merge_per_key_computations(self._computations), name=name)

    def _computations(
        self,
        name: str,
        eval_config: tfma.EvalConfig,
        model_name: str = "",
        output_name: str = "",
        example_weighted: bool = False,
        **_: Any,
    ) -> metric_types.MetricComputations:
        key = tfma.metrics.MetricKey(
            name=name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
        )
        combine_fn = self._combine_fn(key, eval_config, example_weighted)
        return [tfma.metrics.MetricComputation(keys=[key], preprocessors=None, combiner=combine_fn)]


class Accuracy(_MeanMetric):
    """Share of examples whose label has the highest probability, in [0, 1]; the first of equal probabilities counts."""

    _combine_fn = _AccuracyCombineFn


class CrossEntropy(_MeanMetric):
    """Mean negative logarithm of the label's probability, in nats; probabilities are kept 1e-7 away from 0 and 1."""

    _combine_fn = _CrossEntropyCombineFn
