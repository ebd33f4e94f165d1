"""Progress of long steps, as log records that a runner may draw as a bar.

Log records travel from Beam worker processes to the launching process, so this needs no channel of its own.
"""

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
