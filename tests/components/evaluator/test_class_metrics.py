"""Tests of the metrics that follow from a confusion matrix."""

import pytest

from components.evaluator.metrics import class_metrics

# Class 2 is never predicted, class 3 has no examples.
_MATRIX = [[8, 2, 0, 0], [1, 5, 0, 4], [3, 0, 0, 0], [0, 0, 0, 0]]


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
