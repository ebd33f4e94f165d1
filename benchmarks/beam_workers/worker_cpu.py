"""CPU time of the processes that this one starts, each for itself."""

import threading
from typing import Final

import psutil

_SAMPLE_SECONDS: Final = 1.0
_WORKER_MODULES: Final = ("apache_beam.runners.worker.sdk_worker_main", "pipeline.beam_runners.worker")


class WorkerCpu:
    """Samples user and system time: what another process reaps cannot be asked for afterwards."""

    def __init__(self) -> None:
        """Begins to sample."""
        self._process = psutil.Process()
        times = self._process.cpu_times()
        self._before = times.user + times.system
        self._seconds: dict[psutil.Process, float] = {}
        self._is_worker: dict[psutil.Process, bool] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, list[float]]:
        """Returns seconds of `workers`, largest first, and of `runner`: this process, and that of Flink."""
        self._done.set()
        self._thread.join()
        workers = [s for process, s in self._seconds.items() if self._is_worker[process]]
        others = [
            s for process, s in self._seconds.items() if not self._is_worker[process] and process != self._process
        ]
        others.append(self._seconds[self._process] - self._before)
        return {
            "workers": [round(seconds, 1) for seconds in sorted(workers, reverse=True)],
            "runner": [round(seconds, 1) for seconds in sorted(others, reverse=True)],
        }

    def _sample(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            for process in (self._process, *self._process.children(recursive=True)):
                try:
                    times = process.cpu_times()
                    if not self._is_worker.get(process):
                        # Asked again: a worker begins as a shell, or as a copy of this process.
                        self._is_worker[process] = any(name in process.cmdline() for name in _WORKER_MODULES)
                    self._seconds[process] = times.user + times.system
                except psutil.Error:
                    continue
