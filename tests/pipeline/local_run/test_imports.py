"""Tests of `pipeline.local_run.imports`."""

import gc

import pytest

from pipeline.local_run.imports import uncollected_imports


def test_the_collector_is_off_inside_and_on_afterwards() -> None:
    frozen = gc.get_freeze_count()
    try:
        with uncollected_imports():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()


def test_the_collector_is_on_after_an_import_that_fails() -> None:
    with pytest.raises(ModuleNotFoundError), uncollected_imports():
        import not_installed  # type: ignore[import-not-found] # noqa: F401
    assert gc.isenabled()
