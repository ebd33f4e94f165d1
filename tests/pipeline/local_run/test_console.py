"""What a run prints while it works, on a terminal and elsewhere."""

import io

import pytest
from pipeline_configs import make_config
from rich.console import Console

from pipeline.local_run.console import RunConsole


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Watched:
    """A console with a clock; the heartbeat is asked every second of that clock."""

    def __init__(self, is_terminal: bool = False):
        self._clock = _Clock()
        self._written = io.StringIO()
        output = Console(file=self._written, force_terminal=is_terminal, width=100, highlight=False)
        self.console = RunConsole(output, self._clock)

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self._clock.now += 1
            self.console.beat()

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._written.getvalue().splitlines()]


def test_in_a_pipe_every_start_is_a_line_and_silence_ends_before_ten_seconds() -> None:
    watched = _Watched()
    console = watched.console
    console.starting()
    assert watched.lines == ["Starting ..."]
    watched.wait(12)
    console.configured(make_config())
    watched.wait(5)
    console.node_started("StatisticsGen", 3, 16)
    watched.wait(20)
    console.node_finished("StatisticsGen", 20.0, cached=False)
    watched.wait(30)
    assert watched.lines == [
        "Starting ...",
        "        Starting: 9 s so far",
        "Pipeline flowers: synthetic_flowers through efficientnet_lite0 (224x224)",
        "Starting TensorFlow and TFX ...",
        "[ 3/16] StatisticsGen ...",
        "        StatisticsGen: 9 s so far",
        "        StatisticsGen: 18 s so far",
        "[ 3/16] StatisticsGen                          20.0 s  done",
    ]


def test_progress_in_a_pipe_is_a_line_now_and_then() -> None:
    watched = _Watched()
    watched.console.node_started("FeatureExtractor", 10, 16)
    for completed in range(16, 129, 16):
        watched.wait(2)
        watched.console.progress("Extracting features", completed, None if completed < 64 else 1200, "photos")
    assert watched.lines[1:] == [
        "        Extracting features: 48 photos",
        "        Extracting features: 96 of 1,200 photos",
    ]


@pytest.mark.parametrize("total", [None, 0, 1200])
def test_on_a_terminal_a_bar_has_no_unknown_count(total: int | None) -> None:
    watched = _Watched(is_terminal=True)
    watched.console.starting()
    watched.console.configured(make_config())
    watched.console.node_started("FeatureExtractor", 10, 16)
    watched.console.progress("Extracting features", 0, total, "photos")
    watched.console.node_finished("FeatureExtractor", 1.0, cached=True)
    printed = "\n".join(watched.lines)
    assert "/?" not in printed
    assert "Starting TensorFlow and TFX" in printed
    assert "FeatureExtractor" in printed
