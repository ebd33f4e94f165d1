"""What a photo set holds, in short."""

import os
from collections import Counter
from pathlib import Path

from components.photos.photo_set import PhotoSet


def paths_of(photo_set: PhotoSet) -> tuple[str, ...]:
    return tuple(file.path for file in photo_set.files)


def class_counts_of(photo_set: PhotoSet) -> dict[str, int]:
    return Counter(file.class_name for file in photo_set.files)


def reasons_of(photo_set: PhotoSet) -> dict[str, str]:
    """Why files are not used, by path."""
    return {file.path: file.reason.value for file in photo_set.unused_files}


def root_of(photo_set: PhotoSet) -> Path:
    """The folder that paths are relative to."""
    first = photo_set.files[0]
    return Path(first.file.removesuffix(first.path))


def write_names(root: Path, *names: str) -> Path:
    """Writes files that hold their own name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(os.fsencode(name))
    return root
