"""Photos of 1 kB drawn at random, as many as wanted: what grows with their number is not what they weigh."""

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

CLASS_NAMES: Final = ["a", "b", "c", "d", "e"]
_SIDE: Final = 48
# Coarse enough for JPEG, and no two alike for perceptual hashes.
_GRID: Final = 8
_PER_FOLDER: Final = 1000


def draw_photos(folder: Path, count: int) -> None:
    """Draws photos into folders of classes.

    Args:
        folder: Where the classes' folders are made.
        count: How many, over all classes.
    """
    random = np.random.default_rng(0)
    for number in range(count):
        label = number % len(CLASS_NAMES)
        path = folder / CLASS_NAMES[label] / f"{number // _PER_FOLDER:04d}" / f"{number:08d}.jpg"
        if number % _PER_FOLDER < len(CLASS_NAMES):
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_photo(random, label))


def _photo(random: np.random.Generator, label: int) -> bytes:
    grid = random.integers(0, 256, (_GRID, _GRID, 3), np.uint8)
    # What can be learned: one of the rows is dark.
    grid[label] //= 4
    file = io.BytesIO()
    Image.fromarray(grid).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(file, "JPEG", quality=80)
    return file.getvalue()
