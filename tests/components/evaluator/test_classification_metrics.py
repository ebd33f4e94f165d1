"""The metrics given to TFMA, against Keras' values and the confusion matrix."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

from components.evaluator import classification_metrics as own
from components.evaluator.metrics import class_metrics
from pipeline.blessing import build_eval_config

PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.4, 0.4, 0.2]], np.float32
)
LABELS = np.array([0, 1, 2, 1, 1])
# Class 2 is never predicted, class 3 has no examples.
_MATRIX = [[8, 2, 0, 0], [1, 5, 0, 4], [3, 0, 0, 0], [0, 0, 0, 0]]


def _measure(metric: tfma.metrics.Metric) -> float:
    """Combines examples as Beam does: in two parts that are merged, and an empty one."""
    (computation,) = metric.computations(eval_config=build_eval_config())
    combine = computation.combiner
    parts = [combine.create_accumulator() for _ in range(3)]
    for index, (label, row) in enumerate(zip(LABELS, PROBABILITIES, strict=True)):
        inputs = metric_types.StandardMetricInputs(
            label=np.array([label]), prediction={"probabilities": row}, example_weight=np.array([1.0])
        )
        parts[index % 2] = combine.add_input(parts[index % 2], inputs)
    (value,) = combine.extract_output(combine.merge_accumulators(parts)).values()
    return float(value)


def test_accuracy_takes_the_first_of_equal_probabilities() -> None:
    assert _measure(own.Accuracy("accuracy")) == 2 / 5


def test_loss_is_that_of_keras_even_for_probabilities_of_zero_and_one() -> None:
    keras = tf.keras.losses.SparseCategoricalCrossentropy()(LABELS, PROBABILITIES)
    assert _measure(own.CrossEntropy("loss")) == pytest.approx(float(keras), rel=1e-5)


def test_metrics_of_a_class() -> None:
    assert _measure(own.ClassPrecision("precision", label_id=0)) == pytest.approx(1 / 3)
    assert _measure(own.ClassF1Score("f1_score", label_id=2)) == pytest.approx(2 / 3)
    assert np.isnan(_measure(own.ClassPrecision("precision", label_id=1)))


def _measured(matrix: list[list[int]], label: int) -> tuple[float | None, ...]:
    found = class_metrics("daisy", 9, matrix, label)
    assert (found.name, found.examples) == ("daisy", 9)
    return found.precision, found.recall, found.f1_score


def test_precision_recall_and_f1() -> None:
    assert _measured(_MATRIX, 0) == pytest.approx((8 / 12, 0.8, 16 / 22))


def test_what_is_not_defined_is_none() -> None:
    assert _measured(_MATRIX, 2) == (None, 0.0, 0.0)
    assert _measured(_MATRIX, 3) == (0.0, None, 0.0)
    assert _measured([[1, 0], [0, 0]], 1) == (None, None, None)
