"""The runner on a pipeline of small components."""

import itertools
from pathlib import Path

import pytest
from tfx.dsl.component.experimental.annotations import Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import pipeline as tfx_pipeline

from components.common.errors import UserError
from pipeline.local_run.runner import LocalDagRunner
from pipeline.records.connection import sqlite_config


@component
def Step(error: Parameter[str]) -> None:
    if error == "interrupt":
        raise RuntimeError("KeyboardInterrupt [while running 'Step']")
    if error:
        raise UserError(error)


class _Observer:
    def __init__(self) -> None:
        self.events: list[str] = []

    def node_started(self, node_id: str, position: int, total: int) -> None:
        pass

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None:
        self.events.append(f"{node_id} finished")

    def node_failed(self, node_id: str, error: Exception) -> None:
        self.events.append(f"{node_id} failed: {error}")


def _run(tmp_path: Path, **errors: str) -> list[str]:
    """Runs components in a chain, named by the keywords, and returns what the observer was told."""
    steps = [Step(error=error).with_id(name) for name, error in errors.items()]
    for before, after in itertools.pairwise(steps):
        after.add_upstream_node(before)
    observer = _Observer()
    runner = LocalDagRunner(observer, sqlite_config(tmp_path / "metadata.sqlite"), str(tmp_path))
    pipeline = tfx_pipeline.Pipeline("p", str(tmp_path / "root"), components=steps)
    runner.run(pipeline)
    return observer.events


def test_what_fails_after_the_push_does_not_end_the_run(tmp_path: Path) -> None:
    assert _run(tmp_path, Trainer="", Pusher="", Review="no features", Export="") == [
        "Trainer finished", "Pusher finished", "Review failed: no features", "Export finished",
    ]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "error"), [("bad", "", UserError), ("", "interrupt", RuntimeError)])
def test_other_failures_end_it(tmp_path: Path, before: str, after: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        _run(tmp_path, Trainer=before, Pusher="", Review=after)
