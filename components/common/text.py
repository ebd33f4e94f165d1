"""Words for messages."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

# Control characters, lone surrogates, and characters that reverse the direction of the following text: they control
# terminals, break files and XML, or deceive the reader. Tabs and line ends stay.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def counted(number: int, noun: str) -> str:
    """Returns a count with its noun: "1 photo", "2,000 photos"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def printable(text: str) -> str:
    """Replaces the unprintable characters of a text."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Returns " (did you mean X?)" for a misspelled name, and an empty text if no known one is similar."""
    from difflib import get_close_matches

    names = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), names, n=1)
    return f" (did you mean {names[close[0]]}?)" if close else ""


def first_few(names: Sequence[str], limit: int = 5) -> str:
    """Returns names with commas; of many, the first ones and the number of the others."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
