"""Fixtures of the report's tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_run import MadeRun

from pipeline.records.store import open_store
from pipeline.report.page import write_report

_COLORS = ((200, 40, 40), (40, 180, 60), (40, 60, 200))


def _make(output: Path, encode_image: Callable[..., bytes], **options: Any) -> MadeRun:
    defaults = {
        "output": output,
        "class_names": ["blue", "green", "red"],
        "photo": lambda label: encode_image(_COLORS[label % len(_COLORS)]),
    }
    return MadeRun(**{**defaults, **options}).write()


def _report(run: MadeRun) -> str:
    return write_report(open_store(str(run.output)).run(run.run_id)).page.read_text(encoding="utf-8")


@pytest.fixture
def make_run(tmp_path: Path, encode_image: Callable[..., bytes]) -> Callable[..., MadeRun]:
    """A function that writes a run with three classes; keywords are those of `MadeRun`."""
    return lambda **options: _make(tmp_path / "output", encode_image, **options)


@pytest.fixture
def report_of() -> Callable[[MadeRun], str]:
    """A function that writes the report of a run and returns its HTML."""
    return _report


@pytest.fixture(scope="session")
def blessed_run(tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes]) -> MadeRun:
    """A run that nobody changes."""
    return _make(tmp_path_factory.mktemp("blessed"), encode_image)


@pytest.fixture(scope="session")
def blessed_page(blessed_run: MadeRun) -> str:
    """Its report."""
    return _report(blessed_run)
