"""How values are written in the page; strings from data are made printable here, and escaped by jinja2."""

import datetime
import re
from collections.abc import Mapping
from typing import Any

from pipeline.records.records import ExecutionRecord
from pipeline.report.scores import Share

# Control characters, lone surrogates and those that reverse the direction of what follows: they break files, XML and
# the reader's trust. Tabs and line ends stay.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_STATES: Mapping[str, str] = {
    "COMPLETE": "done",
    "CACHED": "cached",
    "FAILED": "failed",
    "RUNNING": "unfinished",
    "CANCELED": "canceled",
}
_MINUTE, _HOUR = 60, 3600


def printable(value: Any) -> Any:
    """Replaces what cannot or must not be shown of a string, URLs' user names and passwords included.

    Args:
        value: Anything; other values pass, and markup, since its strings were printable before.
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return _CREDENTIALS.sub("…@", _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value))


def shortened(text: str, length: int) -> str:
    """Returns a text on one line, with an ellipsis beyond a length in characters."""
    line = " ".join(str(printable(text)).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def percent(value: float) -> str:
    """Returns a share such as 0.9203 as "92.0%"."""
    return f"{value:.1%}"


def interval(share: Share) -> str:
    """Returns a share's 95% interval, its ends joined by a dash."""
    return f"{100 * share.low:.1f}\N{EN DASH}{share.high:.1%}"


def count(value: float) -> str:
    """Returns a whole number with separators, such as "3,219"."""
    return f"{value:,.0f}"


def sum_counts(counts: Mapping[str, int]) -> int:
    """Returns the sum of counts by name."""
    return sum(counts.values())


def words(identifier: str) -> str:
    """Returns an identifier such as "cross_split_near_duplicate" in words."""
    return identifier.replace("_", " ")


def when(milliseconds: int) -> str:
    """Returns a time of this machine's time zone, such as "2026-01-31 17:05:09 UTC"."""
    return _local(milliseconds).strftime("%Y-%m-%d %H:%M:%S %Z")


def iso(milliseconds: int) -> str:
    """Returns a time for `<time datetime>`."""
    return _local(milliseconds).isoformat(timespec="seconds")


def state(execution: ExecutionRecord) -> str:
    """Returns an execution's state in a word: "done", "cached", "failed", "unfinished" or "canceled"."""
    return _STATES.get(execution.state, execution.state.lower())


def duration(milliseconds: float) -> str:
    """Returns a span such as "0.4 s", "1 min 12 s" or "2 h 5 min"."""
    seconds = milliseconds / 1000
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def _local(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, tz=datetime.timezone.utc).astimezone()


# What the templates use.
FILTERS = {
    function.__name__: function
    for function in (percent, interval, count, words, when, iso, duration, shortened, sum_counts, state)
}
