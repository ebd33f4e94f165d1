"""Two nodes of a pipeline at the same time, with one of them at a time in ML Metadata."""

import threading
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any

from tfx.orchestration.portable import data_types, launcher
from tfx.proto.orchestration import execution_result_pb2

from pipeline.local_run.executor_process import ExecutorProcess, RemoteOperator


class SharingLauncher(launcher.Launcher):
    """TFX's launcher, which holds a lock but for the time that the executor runs.

    Drivers and publishers write to ML Metadata, where two writers at once may find the database locked.
    """

    def __init__(self, lock: threading.Lock, process: ExecutorProcess | None, in_process: bool, **arguments: Any):
        """Prepares a node's launch.

        Args:
            lock: Held while the node's metadata is read or written.
            process: Another process for executors, if there is one; started once anything is to be executed.
            in_process: Whether this node's executor runs there, and not here.
            **arguments: Those of TFX's launcher.
        """
        super().__init__(**arguments)
        self._lock = lock
        self._process = process
        if process and in_process and self._executor_operator:  # type: ignore[has-type]
            self._executor_operator = RemoteOperator(self._executor_operator, process)  # type: ignore[has-type]

    def launch(self) -> data_types.ExecutionInfo | None:
        """Runs driver, executor and publisher; returns None if the driver decides that nothing is to run."""
        with self._lock:
            return super().launch()

    def _run_executor(self, execution_info: data_types.ExecutionInfo) -> execution_result_pb2.ExecutorOutput:
        # Under the lock, for two nodes may come here at once.
        if self._process:
            self._process.start()
        self._lock.release()
        try:
            return super()._run_executor(execution_info)
        finally:
            self._lock.acquire()


class BackgroundNode:
    """The node that runs beside the others, in a thread that waits for its process.

    A context manager: at its end the node has ended, too. What it raised is raised where the node is waited for.
    """

    def __init__(self, process: ExecutorProcess | None):
        """Prepares.

        Args:
            process: Where a node's executor runs; None offers no place for one.
        """
        self._process = process
        self._thread: threading.Thread | None = None
        self._node_id = ""
        self._error: Exception | None = None

    def is_free(self) -> bool:
        """Returns whether a node can be started."""
        return self._process is not None and self._thread is None

    def start(self, node_id: str, launch: Callable[[], None]) -> None:
        """Starts a node.

        Args:
            node_id: Its id.
            launch: Runs it to its end, its executor in the process.
        """
        self._node_id = node_id
        self._thread = threading.Thread(target=self._run, args=(launch,), name=node_id, daemon=True)
        self._thread.start()

    def wait_for(self, node_ids: Collection[str]) -> None:
        """Waits until the node has ended, if it is one of these.

        Raises:
            Exception: What the node raised.
        """
        if self._thread and self._node_id in node_ids:
            self._thread.join()
            self._thread = None
            if self._error:
                raise self._error

    def __enter__(self) -> "BackgroundNode":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.wait_for([self._node_id])
        elif self._thread:
            if self._process and not isinstance(error, Exception):
                self._process.stop()
            # What it produces is kept; the error to tell of is the one that came first.
            self._thread.join()

    def _run(self, launch: Callable[[], None]) -> None:
        try:
            launch()
        except Exception as error:
            self._error = error
