"""Programs as forks of one process that has imported TensorFlow and TFX: twenty cold starts take minutes."""

import atexit
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_PRELOADED = ("tfx.components", "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor", "pipeline.graph")


def start(
    function: Callable[..., object], arguments: tuple[Any, ...], variables: Mapping[str, str], printed: Path, cwd: Path
) -> BaseProcess:
    """Calls a function in a new process with these environment variables; `printed` is the file for its output."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    process = context.Process(target=_run, args=(function, arguments, dict(variables), printed, cwd))
    process.start()
    return process


def _run(
    function: Callable[..., object], arguments: tuple[Any, ...], variables: dict[str, str], printed: Path, cwd: Path
) -> None:
    import components

    with printed.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(variables)
    # Sets variables of its own when it is imported.
    importlib.reload(components)
    tempfile.tempdir = None
    # In the background of a shell script tests are started with interrupts ignored, which is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    try:
        function(*arguments)
    finally:
        # A process of multiprocessing ends without.
        atexit._run_exitfuncs()
