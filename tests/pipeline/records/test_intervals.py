"""Tests of the confidence intervals against published values and by their coverage."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from recorded_runs import RecordedRuns, predictions
from scipy.stats import binomtest

from pipeline.records.intervals import independent_difference, paired_difference, wilson


@pytest.mark.parametrize(("correct", "total"), [(81, 263), (15, 148), (0, 20), (1, 29), (10, 10), (900, 918)])
def test_wilson_gives_scipys_limits(correct: int, total: int) -> None:
    interval = wilson(correct, total)
    limits = binomtest(correct, total).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((limits.low, limits.high), abs=1e-12)
    assert 0 <= interval.low < interval.high <= 1


# Newcombe (1998), "Interval estimation for the difference between independent proportions", table II, method 10.
@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [((56, 48), (70, 80), 0.0524, 0.3339), ((9, 3), (10, 10), 0.1705, 0.8090), ((0, 0), (20, 10), -0.2775, 0.1611)],
)
def test_independent_difference_gives_the_published_limits(
    correct: tuple[int, int], total: tuple[int, int], low: float, high: float
) -> None:
    interval = independent_difference(correct, total)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-5)


def test_paired_difference_covers_the_truth_about_95_percent_of_the_time() -> None:
    rng = np.random.default_rng(0)
    shares = [0.04, 0.06, 0.90]  # only the first model right, only the second, both alike
    draws = rng.multinomial(800, shares, size=2000)
    covered = [paired_difference(first, second, 800).holds(shares[0] - shares[1]) for first, second, _ in draws]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_pairing_narrows_the_interval_of_models_that_fail_on_the_same_photos() -> None:
    paired = paired_difference(5, 10, 800)
    independent = independent_difference((735, 740), (800, 800))
    assert paired.high - paired.low < (independent.high - independent.low) / 2
    assert -1 <= paired.low < -5 / 800 < paired.high <= 1


def test_photos_whose_label_was_corrected_count_by_it_for_both_models(
    runs: RecordedRuns, ask: Callable[..., Any]
) -> None:
    """Both models answer the same: there is no difference, whatever the labels were when the baseline was evaluated."""
    before = predictions(range(4))
    corrected = list(before)[10:40]
    runs.add("run-a", before)
    now = {photo: ((label + (photo in corrected)) % 3, found) for photo, (label, found) in before.items()}
    runs.add("run-b", now, baseline="run-a")
    _, change = ask("why")["checks"]
    assert change["interval"]["low"] == pytest.approx(-change["interval"]["high"])
