"""Classification metrics for TFMA on integer labels, computed in float64.

TFMA's own metrics of these names wrap Keras: they trace for seconds in every evaluation, and sum in float32 in batches
that differ between runs. `pipeline.blessing` names this module to TFMA.
"""

import abc
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from components.contracts.evaluation import f1_score

# Keras clips probabilities to this distance from 0 and 1 before taking the logarithm.
_EPSILON = 1e-7


class _Metric(tfma.metrics.Metric, metaclass=abc.ABCMeta):
    """A function of sums over examples."""

    def __init__(self, name: str, label_id: int | None = None):
        """Constructs a metric, of the class with label `label_id` if given (`class_id` has another meaning in TFMA)."""
        super().__init__(metric_util.merge_per_key_computations(self._computations), name=name, label_id=label_id)

    @staticmethod
    @abc.abstractmethod
    def summands(label: int, probabilities: np.ndarray, label_id: int | None) -> Sequence[float]:
        """Returns what one example adds to each sum; probabilities are float32 [C]."""

    @staticmethod
    def result(*sums: float) -> float | None:
        """Returns the metric; None if it is undefined."""
        total, count = sums
        return total / count if count else None

    def _computations(
        self,
        name: str,
        eval_config: config_pb2.EvalConfig,
        model_name: str = "",
        output_name: str = "",
        *,
        label_id: int | None = None,
        **_: Any,
    ) -> metric_types.MetricComputations:
        key = tfma.metrics.MetricKey(name=name, model_name=model_name, output_name=output_name, example_weighted=False)
        combine_fn = _SumsCombineFn(type(self), key, eval_config, label_id)
        return [tfma.metrics.MetricComputation(keys=[key], preprocessors=None, combiner=combine_fn)]


@dataclasses.dataclass(eq=False)
class _SumsCombineFn(beam.CombineFn):
    _metric: type[_Metric]
    _key: tfma.metrics.MetricKey
    _eval_config: config_pb2.EvalConfig
    _label_id: int | None

    def create_accumulator(self) -> list[float]:
        return []

    def add_input(self, accumulator: list[float], element: metric_types.StandardMetricInputs) -> list[float]:
        for label, probabilities, _ in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            flatten=False,
        ):
            summands = self._metric.summands(int(label.item()), probabilities.ravel(), self._label_id)
            accumulator = self.merge_accumulators([accumulator, list(summands)])
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[float]]) -> list[float]:
        filled = [accumulator for accumulator in accumulators if accumulator]
        return [sum(parts) for parts in zip(*filled, strict=True)]

    def extract_output(self, accumulator: list[float]) -> dict[tfma.metrics.MetricKey, float]:
        result = self._metric.result(*accumulator) if accumulator else None
        return {self._key: float("nan") if result is None else result}


class Accuracy(_Metric):
    """Share of examples whose label has the highest probability, in [0, 1]; in a tie the first class counts."""

    @staticmethod
    def summands(label: int, probabilities: np.ndarray, label_id: int | None) -> Sequence[float]:
        return float(np.argmax(probabilities) == label), 1.0


class CrossEntropy(_Metric):
    """Mean negative logarithm of the label's probability, in nats; probabilities are clipped 1e-7 from 0 and 1."""

    @staticmethod
    def summands(label: int, probabilities: np.ndarray, label_id: int | None) -> Sequence[float]:
        return -float(np.log(np.clip(float(probabilities[label]), _EPSILON, 1 - _EPSILON))), 1.0


class ClassPrecision(_Metric):
    """Share of correct examples among those predicted as a class; the prediction is the most probable class."""

    @staticmethod
    def summands(label: int, probabilities: np.ndarray, label_id: int | None) -> Sequence[float]:
        predicted = np.argmax(probabilities) == label_id
        return float(predicted and label == label_id), float(predicted)


class ClassF1Score(_Metric):
    """Harmonic mean of a class's precision and recall."""

    @staticmethod
    def summands(label: int, probabilities: np.ndarray, label_id: int | None) -> Sequence[float]:
        predicted, actual = np.argmax(probabilities) == label_id, label == label_id
        return float(predicted and actual), float(predicted), float(actual)

    @staticmethod
    def result(*sums: float) -> float | None:
        return f1_score(*sums)
