"""Progress of long steps, as log records that a runner may draw as a bar.

Log records travel from Beam worker processes to the launching process, so this needs no channel of its own.
"""

import logging
import os
import socket
import threading

logger = logging.getLogger(__name__)


def report_progress(description: str, completed: int, total: int | None = None, unit: str = "photos") -> None:
    """Reports how far a step has come.

    Args:
        description: What is being done, such as "Extracting features".
        completed: Units done so far, at least 0.
        total: Units there are in all, or None when that is not known.
        unit: What is counted, plural.
    """
    of_total = f"/{total}" if total is not None else ""
    progress = {"description": description, "completed": completed, "total": total, "unit": unit}
    logger.info("%s: %d%s %s", description, completed, of_total, unit, extra={"progress": progress})


def process_name() -> str:
    """Names this process among all that take part in a run."""
    return f"{os.getpid()} on {socket.gethostname()}"


class WorkerProgress:
    """How far one worker process has come, counted by its threads."""

    def __init__(self, description: str, total: int, launcher: str, every: int = 1):
        """Begins at 0.

        Args:
            description: What is being done.
            total: Photos that all workers have to do; 0 when that is not known.
            launcher: `process_name()` of the process that started the work.
            every: After how many photos to report.
        """
        self._description = description
        self._total = total
        self._launcher = launcher
        self._every = every
        self._completed = 0
        self._lock = threading.Lock()

    def add(self, count: int = 1) -> None:
        """Counts so many more photos, and reports now and then."""
        with self._lock:
            before, self._completed = self._completed, self._completed + count
            if before // self._every == self._completed // self._every and self._completed != self._total:
                return
            if self._launcher == process_name():
                report_progress(self._description, self._completed, self._total or None)
            else:
                # A worker cannot know how far the others are.
                report_progress(f"{self._description} in process {process_name()}", self._completed)
