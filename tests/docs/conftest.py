"""The output of two tiny runs, for the commands of the documentation to work on."""

import shutil
from pathlib import Path

import pytest
from checkout import Checkout
from pages import ROOT, blocks

from benchmarks.measuring.subjects import Outcome, Subject, run_pipeline
from benchmarks.run import prepare_model, prepare_source


@pytest.fixture(scope="session")
def measured(
    tmp_path_factory: pytest.TempPathFactory, small_photos: Path, tiny_backbone: Path
) -> tuple[Checkout, Outcome]:
    """A checkout with the photos and the backbone that the README speaks of, and `make bench`'s run in it."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    shutil.copytree(small_photos, checkout.home / "my_photos")
    shutil.copytree(tiny_backbone, checkout.home / "my_saved_model")
    shutil.copy(small_photos / "red" / "red 00.jpg", checkout.folder / "rose.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        source, count = prepare_source(str(checkout.home / "my_photos"), num_photos=0)
        model, image_size = prepare_model(str(checkout.home / "my_saved_model"))
        subject = Subject(source, count, model, image_size, epochs=1, folder=checkout.folder)
        return checkout, run_pipeline(subject, "pipeline")


@pytest.fixture(scope="session")
def checkout(measured: tuple[Checkout, Outcome]) -> Checkout:
    """The same after the README's run."""
    checkout, _ = measured
    (run,) = (block.text for block in blocks("bash") if "~/my_saved_model" in block.text)
    finished = checkout.run(run)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return checkout
