"""How the page writes values: jinja2's filters. They make strings printable; jinja2 escapes them."""

import datetime
import re
from collections.abc import Mapping
from typing import Any

from components.common.text import counted
from components.common.text import printable as printable_text
from pipeline.records.intervals import Interval
from pipeline.records.metadata import ExecutionRecord

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_STATES: Mapping[str, str] = {"COMPLETE": "done", "RUNNING": "unfinished"}
_MINUTE, _HOUR = 60, 3600
_HEAT_STEPS = 9


def printable(value: Any) -> Any:
    """Replaces unprintable characters of a string, and user names and passwords of URLs; other values pass."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return _CREDENTIALS.sub("…@", printable_text(value))


def shortened(text: str, length: int) -> str:
    """Returns a text on one line, with an ellipsis if it has more characters than `length`."""
    line = " ".join(str(printable(text)).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def percent(value: float) -> str:
    """Returns a proportion such as 0.9203 as "92.0%"."""
    return f"{value:.1%}"


def limits(interval: Interval) -> str:
    """Returns an interval of a proportion in percent, its ends joined by a dash."""
    return f"{100 * interval.low:.1f}\N{EN DASH}{interval.high:.1%}"


def count(value: float) -> str:
    """Returns a whole number with separators, such as "3,219"."""
    return f"{value:,.0f}"


def listed(counts: Mapping[str, int]) -> str:
    """Returns counts by name in a row: "train 5, test 1"."""
    return ", ".join(f"{name or 'none'} {number:,}" for name, number in counts.items())


def sum_counts(counts: Mapping[str, int]) -> int:
    """Returns the sum of counts by name."""
    return sum(counts.values())


def words(identifier: str) -> str:
    """Returns an identifier such as "cross_split_near_duplicate" in words."""
    return identifier.replace("_", " ")


def when(milliseconds: int) -> str:
    """Returns a time in this machine's time zone, such as "2026-01-31 17:05:09 UTC"."""
    return _local(milliseconds).strftime("%Y-%m-%d %H:%M:%S %Z")


def iso(milliseconds: int) -> str:
    """Returns a time for `<time datetime>`."""
    return _local(milliseconds).isoformat(timespec="seconds")


def state(execution: ExecutionRecord) -> str:
    """Returns an execution's state in a word: "done", "cached", "failed", "unfinished" or "canceled"."""
    return _STATES.get(execution.state, execution.state.lower())


def duration(milliseconds: float) -> str:
    """Returns a duration such as "0.4 s", "1 min 12 s" or "2 h 5 min"."""
    seconds = milliseconds / 1000
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def heat(number: int, total: int) -> int:
    """Returns how dark a cell of a confusion matrix is, from 0 (no photo) to 9 (all of `total`)."""
    return min(_HEAT_STEPS, 1 + int(number / total * (_HEAT_STEPS - 1))) if number and total else 0


def _local(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, tz=datetime.timezone.utc).astimezone()


FILTERS = {
    function.__name__: function
    for function in (
        percent, limits, count, counted, listed, sum_counts, words, when, iso, state, duration, shortened, heat,
    )
}  # fmt: skip
