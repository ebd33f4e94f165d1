"""Progress of long steps, as log records that a runner may draw as a bar.

Log records travel from Beam worker processes to the launching process, so this needs no channel of its own.
"""

import itertools
import logging

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


class Progress:
    """Counts photos and reports now and then; the threads of a process may share it."""

    def __init__(self, description: str, total: int, every: int) -> None:
        """Starts at none.

        Args:
            description: What is being done.
            total: Photos there are in all; 0 when that is not known.
            every: After how many of them to report.
        """
        self._numbers = itertools.count(1)
        self._description, self._total, self._every = description, total, every

    def advance(self) -> None:
        """Counts one photo."""
        number = next(self._numbers)
        if number % self._every == 0 or number == self._total:
            report_progress(self._description, number, self._total or None)
