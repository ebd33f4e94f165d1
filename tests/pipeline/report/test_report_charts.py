"""Charts: where values are drawn, and which numbers the axes show."""

import math

import pytest

from components.contracts.evaluation import LOSS
from components.contracts.training import EpochResult
from pipeline.report.charts import Axis, Chart, _training_curve


def _curve(*losses: float) -> Chart:
    epochs = [EpochResult(number, loss, 0.5, 1.0, 0.5) for number, loss in enumerate(losses, 1)]
    return _training_curve("chart", epochs, LOSS, best=1)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0.83, 0.97, ["0.85", "0.9", "0.95"]),
        (1.0, 50.0, ["10", "20", "30", "40", "50"]),
        (-0.002, 0.002, ["-0.002", "-0.001", "0", "0.001", "0.002"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, labels: list[str]) -> None:
    assert [label for _, label in Axis(low, high, 0, 100).ticks] == labels


def test_epochs_are_whole_numbers_and_shares_are_percents() -> None:
    assert [label for _, label in Axis(1, 3, 0, 100, is_whole=True).ticks] == ["1", "2", "3"]
    assert [label for _, label in Axis(0.5, 1, 0, 100, is_percent=True).ticks][:2] == ["50%", "60%"]


def test_values_are_drawn_in_proportion() -> None:
    chart = _curve(4.0, 2.0, 0.0)
    training, validation = (series.points for series in chart.series)
    assert [x for x, _ in training] == pytest.approx([chart.x.start, (chart.x.start + chart.x.end) / 2, chart.x.end])
    # Larger losses are higher up: SVG counts pixels from the top.
    assert [y for _, y in training] == pytest.approx([chart.y.end, (chart.y.start + chart.y.end) / 2, chart.y.start])
    assert {y for _, y in validation} == {chart.y(1.0)}
    assert chart.guide == ((chart.x(1), chart.y.start), (chart.x(1), chart.y.end))


@pytest.mark.parametrize("losses", [(1.0,), (1.0, math.nan, 3.0), (math.inf, math.nan)])
def test_one_epoch_and_diverged_losses_stay_inside(losses: tuple[float, ...]) -> None:
    chart = _curve(*losses)
    assert len(chart.series[0].points) == sum(map(math.isfinite, losses))
    for x, y in [point for series in chart.series for point in series.points]:
        assert chart.x.start <= x <= chart.x.end and chart.y.end <= y <= chart.y.start
