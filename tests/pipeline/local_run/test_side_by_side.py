"""A node in the background: waited for where it is needed, its error told there, its end never missed."""

import threading

import pytest

from pipeline.local_run.executor_process import ExecutorProcess
from pipeline.local_run.side_by_side import BackgroundNode


@pytest.fixture
def process() -> ExecutorProcess:
    """Never started: these nodes have no executors."""
    return ExecutorProcess()


def test_there_is_no_place_without_a_process(process: ExecutorProcess) -> None:
    assert not BackgroundNode(None).is_free()
    assert BackgroundNode(process).is_free()


def test_only_who_needs_it_waits(process: ExecutorProcess) -> None:
    go_on, ended = threading.Event(), threading.Event()

    def launch() -> None:
        go_on.wait(timeout=60)
        ended.set()

    with BackgroundNode(process) as background:
        background.start("validation", launch)
        assert not background.is_free()
        background.wait_for(["test"])
        assert not ended.is_set()
        go_on.set()
        background.wait_for(["test", "validation"])
        assert ended.is_set()
        assert background.is_free()


def _fail() -> None:
    raise ValueError("no accuracy")


def test_its_error_is_raised_where_it_is_waited_for(process: ExecutorProcess) -> None:
    with BackgroundNode(process) as background:
        background.start("validation", _fail)
        with pytest.raises(ValueError, match="no accuracy"):
            background.wait_for(["validation"])


def test_its_error_is_raised_at_the_end_at_the_latest(process: ExecutorProcess) -> None:
    with pytest.raises(ValueError, match="no accuracy"), BackgroundNode(process) as background:
        background.start("validation", _fail)


def test_another_nodes_error_waits_for_what_it_produces(process: ExecutorProcess) -> None:
    go_on, ended = threading.Event(), threading.Event()

    def launch() -> None:
        go_on.wait(timeout=60)
        ended.set()

    with pytest.raises(KeyError, match="test"), BackgroundNode(process) as background:
        background.start("validation", launch)
        threading.Timer(0.2, go_on.set).start()
        raise KeyError("test")
    assert ended.is_set()
