"""Words for messages."""

from collections.abc import Iterable, Sequence


def counted(number: int, noun: str) -> str:
    """Returns a count with its noun: "1 photo", "2,000 photos"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


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
