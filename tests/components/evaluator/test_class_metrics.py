"""Tests of the metrics that follow from a confusion matrix."""

import pytest

from components.evaluator.metrics import class_metrics

# Class 2 is never predicted, class 3 has no examples.
_MATRIX = [[8, 2, 0, 0], [1, 5, 0, 4], [3, 0, 0, 0], [0, 0, 0, 0]]


def test_precision_recall_and_f1() -> None:
    metrics = class_metrics(_MATRIX, 0)
    assert metrics == pytest.approx({"precision": 8 / 12, "recall": 0.8, "f1_score": 16 / 22})


def test_what_is_not_defined_is_none() -> None:
    assert class_metrics(_MATRIX, 2) == {"precision": None, "recall": 0.0, "f1_score": 0.0}
    assert class_metrics(_MATRIX, 3) == {"precision": 0.0, "recall": None, "f1_score": 0.0}
    assert class_metrics([[1, 0], [0, 0]], 1) == {"precision": None, "recall": None, "f1_score": None}
