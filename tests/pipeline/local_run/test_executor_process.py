"""Executors in another process: what they return, log and raise comes back, and the process outlives nobody."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from operators import DyingOperator, FailingOperator, ProcessIdOperator, UnexpectedlyFailingOperator
from tfx.orchestration.portable import data_types

from components.common.errors import UserError
from pipeline.local_run.executor_process import ExecutorFailedError, ExecutorProcess, RemoteOperator, executor_process

_ROOT = Path(__file__).resolve().parents[3]
_INFO = data_types.ExecutionInfo(execution_id=7)
_PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def process() -> Iterator[ExecutorProcess]:
    process = ExecutorProcess()
    yield process
    process.stop()


def test_an_executor_runs_elsewhere_and_logs_here(process: ExecutorProcess, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        output = RemoteOperator(ProcessIdOperator(), process).run_executor(_INFO)

    assert int(output.execution_result.result_message) in {child.pid for child in psutil.Process().children()}
    assert ("components.test", logging.INFO, "execution 7") in caplog.record_tuples


def test_a_user_error_stays_one(process: ExecutorProcess) -> None:
    with pytest.raises(UserError, match=r"^photo 7 is broken: remove it$"):
        process.run_executor(FailingOperator(), _INFO)


def test_another_error_is_told_with_its_traceback(process: ExecutorProcess) -> None:
    with pytest.raises(ExecutorFailedError, match=r"(?s)KeyError: 'an error of the program'.*in run_executor"):
        process.run_executor(UnexpectedlyFailingOperator(), _INFO)


def test_a_process_that_dies_is_told() -> None:
    with executor_process(enabled=True) as process:
        if process is None:
            pytest.skip("this machine has one CPU, so there is no second process")
        with pytest.raises(ExecutorFailedError, match="the process of the executor died"):
            process.run_executor(DyingOperator(), _INFO)


def test_there_is_none_where_beam_has_workers_of_its_own() -> None:
    with executor_process(enabled=False) as process:
        assert process is None


def test_it_ends_with_a_parent_that_is_killed() -> None:
    code = (
        "from pipeline.local_run.executor_process import ExecutorProcess\n"
        "process = ExecutorProcess()\n"
        "process.start()\n"
        "print(process._process.pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{child} has outlived {os.getpid()}'s child"
        time.sleep(0.05)
