"""Runs a command and measures it with everything it starts."""

import dataclasses
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

_SAMPLE_SECONDS: Final = 0.1


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a command used.

    Attributes:
        wall_seconds: From its start to its end: process start and imports included.
        cpu_seconds: User and system time of it and its children.
        peak_memory_mb: Largest sum of resident memory over its process tree, sampled ten times a second. Pages shared
            between processes count once per process.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_memory_mb: float


class CommandFailedError(RuntimeError):
    """A measured command failed."""


def run_measured(command: Sequence[str], log_file: Path) -> Measurement:
    """Runs a command to its end.

    Args:
        command: Program and arguments.
        log_file: Where its output goes.

    Returns:
        What it used.

    Raises:
        CommandFailedError: Its exit status was not 0; the message holds the end of its output.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as log:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        peak = _PeakMemory(process.pid)
        # Unlike `wait`, tells the CPU time of this one child and its descendants.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log_file.read_text(errors="replace").splitlines()[-20:])
        raise CommandFailedError(f"exit status {process.returncode} of {' '.join(command)}\n{tail}")
    return Measurement(round(wall, 2), round(usage.ru_utime + usage.ru_stime, 2), round(peak.stop(), 1))


class _PeakMemory:
    """Samples the resident memory of a process tree from a thread."""

    def __init__(self, pid: int):
        self._process = psutil.Process(pid)
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Returns the peak in MB."""
        self._done.set()
        self._thread.join()
        return self._peak / 1e6

    def _sample(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            try:
                tree = [self._process, *self._process.children(recursive=True)]
                self._peak = max(self._peak, sum(process.memory_info().rss for process in tree))
            except psutil.Error:
                continue  # a process ended between being listed and being asked
