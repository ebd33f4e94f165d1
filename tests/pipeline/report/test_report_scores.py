"""Intervals and calibration against values worked out by hand or published."""

import pytest

from components.contracts.evaluation import ExamplePrediction
from pipeline.report.scores import (
    calibration_bins,
    confident_mistakes,
    expected_calibration_error,
    share_of,
)


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


def test_interval_of_a_share_stays_within_zero_and_one() -> None:
    share = share_of(10, 10)
    # 10 of 10: Wilson's lower end is n / (n + z^2).
    assert share.low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-6)
    assert share.value == 1.0 and share.high == pytest.approx(1.0)
    assert share.high <= 1.0
    assert (share_of(0, 0).low, share_of(0, 0).high) == (0.0, 1.0)


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
