"""The output of two tiny runs, for the commands of the documentation to work on."""

import shutil
from pathlib import Path

import pytest
from checkout import Checkout
from pages import blocks


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory, small_photos: Path, tiny_backbone: Path) -> Checkout:
    """A checkout after the README's run, and one more, on the photos and the backbone that it speaks of."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    shutil.copytree(small_photos, checkout.home / "my_photos")
    shutil.copytree(tiny_backbone, checkout.home / "my_saved_model")
    shutil.copy(small_photos / "red" / "red 00.jpg", checkout.folder / "rose.jpg")
    (first,) = (block.text for block in blocks("bash") if "~/my_saved_model" in block.text)
    second = first.replace("~/my_saved_model", "~/my_saved_model --epochs 20")
    for run in (first, second):
        finished = checkout.run(run)
        assert finished.returncode == 0, finished.stdout + finished.stderr
    return checkout
