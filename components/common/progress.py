"""Progress of long steps, as log records that a runner may draw as a bar.

Log records travel from Beam worker processes to the launching process, so this needs no channel of its own.
"""

import logging
import os
import socket
import threading

logger = logging.getLogger(__name__)


def report_progress(description: str, completed: int, total: int | None = None, unit: str = "photos") -> None:
    """Logs the progress of a step such as "Extracting features"; `total` is None if it is unknown."""
    of_total = f"/{total}" if total is not None else ""
    progress = {"description": description, "completed": completed, "total": total, "unit": unit}
    logger.info("%s: %d%s %s", description, completed, of_total, unit, extra={"progress": progress})


def process_name() -> str:
    """Identifies this process among all processes of a run."""
    return f"{os.getpid()} on {socket.gethostname()}"


class WorkerProgress:
    """The progress of one worker process, counted by its threads."""

    def __init__(self, description: str, total: int, launcher: str, every: int = 1):
        """Takes the number of all workers' photos, 0 if it is unknown; reports after every `every` photos.

        `launcher` is the `process_name()` of the process that started the work.
        """
        self._description = description
        self._total = total
        self._launcher = launcher
        self._every = every
        self._completed = 0
        self._lock = threading.Lock()

    def add(self, count: int = 1) -> None:
        """Adds `count`; reports periodically."""
        with self._lock:
            before, self._completed = self._completed, self._completed + count
            if before // self._every == self._completed // self._every and self._completed != self._total:
                return
            if self._launcher == process_name():
                report_progress(self._description, self._completed, self._total or None)
            else:
                # A worker does not know the progress of the others.
                report_progress(f"{self._description} in process {process_name()}", self._completed)
