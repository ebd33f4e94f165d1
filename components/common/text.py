"""Words for messages."""


def counted(number: int, noun: str) -> str:
    """Returns a count with its noun: "1 photo", "2,000 photos"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
