"""Calibration and mistakes against values computed by hand."""

import pytest

from components.contracts.evaluation import ExamplePrediction
from pipeline.report.scores import Proportion, calibration_bins, confident_mistakes, expected_calibration_error


def _predictions(*groups: tuple[float, int, int]) -> list[ExamplePrediction]:
    """From (confidence, right, wrong)."""
    return [
        # The others share the rest, so that even a confidence of 0.55 is the highest probability.
        ExamplePrediction(
            f"{confidence}-{index}", 0 if index < right else 1, [confidence, *[(1 - confidence) / 99] * 99]
        )
        for confidence, right, wrong in groups
        for index in range(right + wrong)
    ]


def test_a_proportion_without_photos_can_be_anything() -> None:
    assert (Proportion(0, 0).value, Proportion(3, 4).value) == (0.0, 0.75)
    assert (Proportion(0, 0).interval.low, Proportion(0, 0).interval.high) == (0.0, 1.0)
    # 10 of 10: the lower end of Wilson's interval is n / (n + z^2).
    assert Proportion(10, 10).interval.low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-6)


def test_calibration_error_weighs_bins_by_their_size() -> None:
    bins = calibration_bins(_predictions((0.95, 3, 1), (0.55, 1, 5)))
    assert [(bin_.low, bin_.accuracy.total) for bin_ in bins] == [(0.5, 6), (0.9, 4)]
    assert expected_calibration_error(bins) == pytest.approx((4 * abs(0.75 - 0.95) + 6 * abs(1 / 6 - 0.55)) / 10)


def test_confidence_on_a_bins_edge_and_at_the_ends() -> None:
    bins = calibration_bins(_predictions((0.1, 1, 0), (0.5, 1, 0), (1.0, 1, 0)))
    assert [(bin_.low, bin_.high) for bin_ in bins] == [(0.0, 0.1), (0.4, 0.5), (0.9, 1.0)]


def test_no_predictions_have_no_calibration_error() -> None:
    assert expected_calibration_error(calibration_bins([])) == 0.0


def test_mistakes_are_ordered_by_confidence_then_id() -> None:
    lines = [
        {"id": "b", "label": 0, "probabilities": [0.2, 0.8]},
        {"id": "a", "label": 0, "probabilities": [0.2, 0.8]},
        {"id": "c", "label": 1, "probabilities": [0.1, 0.9]},
        {"id": "d", "label": 1, "probabilities": [0.95, 0.05]},
    ]
    mistakes = confident_mistakes([ExamplePrediction(**line) for line in lines], 2)
    assert [(mistake.id, mistake.confidence, mistake.label_probability) for mistake in mistakes] == [
        ("d", 0.95, 0.05),
        ("a", 0.8, 0.2),
    ]
