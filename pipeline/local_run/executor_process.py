"""A second process for executors, so that independent components run side by side on this machine.

Component code is Python for the most part, which does not run on two CPUs from the threads of one process.
"""

import contextlib
import importlib
import logging
import logging.handlers
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

from components.common.errors import UserError
from pipeline.local_run.failures import user_error_message
from pipeline.local_run.imports import uncollected_imports
from pipeline.local_run.logs import send_records

if TYPE_CHECKING:
    # The other process imports this module before it can say where warnings go.
    from tfx.orchestration.portable import data_types
    from tfx.proto.orchestration import execution_result_pb2


class ExecutorOperator(Protocol):
    """What TFX's launcher calls to run an executor."""

    def run_executor(self, execution_info: "data_types.ExecutionInfo") -> "execution_result_pb2.ExecutorOutput":
        """Runs an executor to its end."""

    def with_execution_watcher(self, executor_watcher_address: str) -> Any:
        """Tells an address that an executor may report to."""


class ExecutorFailedError(RuntimeError):
    """An executor failed in the other process; the message holds its traceback."""


class ExecutorProcess:
    """Runs one executor at a time in a process of its own, which ends with this one, even when this one is killed.

    It is spawned, not forked: a fork of a process that has imported TensorFlow can wait for a lock for ever.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, self._theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._theirs,), daemon=True)

    def start(self) -> None:
        """Starts to import over there what executors need; a second call changes nothing."""
        if self._process.pid is None:
            self._process.start()
            self._theirs.close()

    def run_executor(
        self, operator: ExecutorOperator, execution_info: "data_types.ExecutionInfo"
    ) -> "execution_result_pb2.ExecutorOutput":
        """Runs an executor over there, and logs here what it logs.

        Args:
            operator: What runs the executor; travels by pickle.
            execution_info: What it runs on.

        Returns:
            The executor's output.

        Raises:
            UserError: The executor failed for a reason that the user can do something about.
            ExecutorFailedError: It failed otherwise, or the process died.
        """
        from tfx.proto.orchestration import execution_result_pb2

        self.start()
        self._connection.send((operator, execution_info.to_proto()))
        try:
            while isinstance(answer := self._connection.recv(), logging.LogRecord):
                logging.getLogger(answer.name).handle(answer)
        except (EOFError, OSError) as error:
            raise ExecutorFailedError("the process of the executor died") from error
        if isinstance(answer, Exception):
            raise answer
        return execution_result_pb2.ExecutorOutput.FromString(answer)

    def stop(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()


class RemoteOperator:
    """An executor operator that has another one run in an `ExecutorProcess`."""

    def __init__(self, operator: ExecutorOperator, process: ExecutorProcess):
        """Wraps an operator.

        Args:
            operator: The launcher's own.
            process: Where it is run.
        """
        self._operator = operator
        self._process = process

    def run_executor(self, execution_info: "data_types.ExecutionInfo") -> "execution_result_pb2.ExecutorOutput":
        """Runs the executor in the other process."""
        return self._process.run_executor(self._operator, execution_info)

    def with_execution_watcher(self, executor_watcher_address: str) -> "RemoteOperator":
        """Tells an address that the executor may report to."""
        self._operator.with_execution_watcher(executor_watcher_address)
        return self


@contextlib.contextmanager
def executor_process(enabled: bool) -> Iterator[ExecutorProcess | None]:
    """Offers an `ExecutorProcess`, and ends it.

    Args:
        enabled: Whether there is to be one.

    Yields:
        The process, not started yet; None if there is none, as on a machine with one CPU.
    """
    if not enabled or len(os.sched_getaffinity(0)) == 1:
        yield None
        return
    process = ExecutorProcess()
    try:
        yield process
    finally:
        process.stop()


def _serve(connection: Connection) -> None:
    """Runs executors until the parent ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The terminal sends it to both processes; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sender = _Sender(connection)
    send_records(logging.handlers.QueueHandler(sender))  # type: ignore[arg-type]
    with uncollected_imports():
        importlib.import_module("pipeline.local_run.runner")
        from tfx.orchestration.portable import data_types
    with contextlib.suppress(EOFError):
        while True:
            operator, execution_info = connection.recv()
            sender.send(_run(operator, data_types.ExecutionInfo.from_proto(execution_info)))


def _end_with_parent() -> None:
    """Ends this process as soon as the parent has ended, however that was."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
    os._exit(1)


def _run(operator: ExecutorOperator, execution_info: "data_types.ExecutionInfo") -> bytes | Exception:
    try:
        return operator.run_executor(execution_info).SerializeToString()
    except Exception as error:
        # What it is and what caused it may not travel; its text does.
        message = user_error_message(error)
        if message is not None:
            return UserError(message)
        return ExecutorFailedError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")


class _Sender:
    """Sends log records and the executor's output to the parent, from whatever thread; a queue to `QueueHandler`."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, answer: logging.LogRecord | bytes | Exception) -> None:
        with self._lock:
            self._connection.send(answer)

    put_nowait = send
