"""Executor operators that do little, in a module that another process can import."""

import logging
import os
import signal
from typing import Any

from tfx.proto.orchestration import execution_result_pb2

from components.common.errors import UserError


class ProcessIdOperator:
    """Answers with the id of the process it runs in, and logs."""

    def run_executor(self, execution_info: Any) -> execution_result_pb2.ExecutorOutput:
        logging.getLogger("components.test").info("execution %d", execution_info.execution_id)
        result = execution_result_pb2.ExecutionResult(result_message=str(os.getpid()))
        return execution_result_pb2.ExecutorOutput(execution_result=result)

    def with_execution_watcher(self, executor_watcher_address: str) -> "ProcessIdOperator":
        return self


class FailingOperator(ProcessIdOperator):
    """Fails as Beam does: what the user has to know is in the cause."""

    def run_executor(self, execution_info: Any) -> execution_result_pb2.ExecutorOutput:
        raise RuntimeError("while running") from UserError("photo 7 is broken: remove it")


class UnexpectedlyFailingOperator(ProcessIdOperator):
    def run_executor(self, execution_info: Any) -> execution_result_pb2.ExecutorOutput:
        raise KeyError("an error of the program")


class DyingOperator(ProcessIdOperator):
    def run_executor(self, execution_info: Any) -> execution_result_pb2.ExecutorOutput:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError
