"""Fixtures of the report's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_run import MadeRun
from memory_folder import memory_folder

from pipeline.records.store import open_store
from pipeline.report.page import write_report

_COLORS = ((200, 40, 40), (40, 180, 60), (40, 60, 200))


def _make(output: Path, encode_image: Callable[..., bytes], **options: Any) -> MadeRun:
    photos = [encode_image(color) for color in _COLORS]
    defaults = {
        "output": output,
        "class_names": ["blue", "green", "red"],
        "photo": lambda label: photos[label % len(photos)],
    }
    return MadeRun(**{**defaults, **options}).write()


def _report(run: MadeRun) -> str:
    return write_report(open_store(str(run.output)).run(run.run_id)).page.read_text(encoding="utf-8")


@pytest.fixture
def make_run(encode_image: Callable[..., bytes]) -> Iterator[Callable[..., MadeRun]]:
    """A function that writes a run with three classes; keywords are those of `MadeRun`."""
    with memory_folder() as folder:
        yield lambda **options: _make(folder / "output", encode_image, **options)


@pytest.fixture
def report_of() -> Callable[[MadeRun], str]:
    """A function that writes the report of a run and returns its HTML."""
    return _report


@pytest.fixture(scope="session")
def blessed_run(encode_image: Callable[..., bytes]) -> Iterator[MadeRun]:
    """A run that no test changes."""
    with memory_folder() as folder:
        yield _make(folder / "output", encode_image)


@pytest.fixture(scope="session")
def blessed_page(blessed_run: MadeRun) -> str:
    """Its report."""
    return _report(blessed_run)
