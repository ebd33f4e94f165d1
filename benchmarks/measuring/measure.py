"""Runs a command and measures it with everything it starts."""

import dataclasses
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

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


class Sample(NamedTuple):
    """What a command and everything it started had taken at one moment."""

    time: float  # seconds since the epoch
    memory_mb: float
    cpu_seconds: float


class CommandFailedError(RuntimeError):
    """A measured command failed."""


def run_measured(command: Sequence[str], log_file: Path, samples: list[Sample] | None = None) -> Measurement:
    """Runs a command to its end.

    Args:
        command: Program and arguments.
        log_file: Where its output goes.
        samples: Filled with what it took, ten times a second.

    Returns:
        What it used.

    Raises:
        CommandFailedError: Its exit status was not 0; the message holds the end of its output.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as log:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        sampler = _Sampler(process.pid)
        # Unlike `wait`, tells the CPU time of this one child and its descendants.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log_file.read_text(errors="replace").splitlines()[-20:])
        raise CommandFailedError(f"exit status {process.returncode} of {' '.join(command)}\n{tail}")
    found = sampler.stop()
    if samples is not None:
        samples += found
    peak = max((sample.memory_mb for sample in found), default=0.0)
    return Measurement(round(wall, 2), round(usage.ru_utime + usage.ru_stime, 2), round(peak, 1))


class _Sampler:
    """Samples what a process tree takes, from a thread."""

    def __init__(self, pid: int):
        self._process = psutil.Process(pid)
        self._samples: list[Sample] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> list[Sample]:
        """Returns the samples."""
        self._done.set()
        self._thread.join()
        return self._samples

    def _sample(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            try:
                tree = [self._process, *self._process.children(recursive=True)]
                memory = sum(process.memory_info().rss for process in tree)
                # Of user, system, and both of the children that have ended.
                cpu = sum(sum(process.cpu_times()[:4]) for process in tree)
            except psutil.Error:
                continue  # a process ended between being listed and being asked
            self._samples.append(Sample(time.time(), memory / 1e6, cpu))
