"""A photo set and a backbone small enough to run the whole pipeline in seconds."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def small_photos(tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes]) -> Path:
    """A folder of 3 classes with 24 photos each, told apart by their colour."""
    root = tmp_path_factory.mktemp("e2e") / "small photos"
    for offset, (name, color) in enumerate(
        {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (200, 40, 50)}.items()
    ):
        (root / name).mkdir(parents=True)
        for index in range(24):
            photo = encode_image(color, size=(30 + index, 60 - index), seed=100 * offset + index)
            (root / name / f"{name} {index:02d}.jpg").write_bytes(photo)
    return root
