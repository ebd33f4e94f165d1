"""Text files that are there whole or not at all: records of caches and of trainings, reports."""

import uuid
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Writes a file through a temporary one: whoever reads it, even after a crash, finds all of it or what was there.

    Args:
        path: In a folder that exists.
        text: Its content; written in UTF-8, its line ends as they are.

    Raises:
        OSError: It cannot be written; what was there still is.
    """
    # Unique: two processes may write the same file.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
