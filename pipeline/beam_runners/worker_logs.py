"""Shows log records of Beam's worker processes, which Beam logs as texts, under their own loggers."""

import logging
import re
from pathlib import Path
from typing import Final

from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker.log_handler import LOGENTRY_TO_LOG_LEVEL_MAP
from google.protobuf import text_format

_BEAM_LOGGER: Final = "apache_beam.runners.portability.local_job_service"
_ROOT: Final = Path(__file__).parents[2]
_OWN_PACKAGES: Final = ("components", "pipeline")
# The text of `components.common.progress`; only text reaches this process.
_PROGRESS: Final = re.compile(r"(?P<description>.+): (?P<completed>\d+)(?:/\d+)? (?P<unit>\w+)")


class _WorkerLogHandler(logging.Handler):
    """Logs this project's records under their own loggers."""

    def emit(self, record: logging.LogRecord) -> None:
        if not (record.msg.startswith("Worker: ") and record.args):
            return
        entry = beam_fn_api_pb2.LogEntry()
        try:
            text_format.Parse(str(record.args[0]), entry)  # type: ignore[index]
        except text_format.ParseError:
            return
        name = _own_logger_name(entry.log_location)
        if name:
            level = LOGENTRY_TO_LOG_LEVEL_MAP[entry.severity]
            logging.getLogger(name).log(level, "%s", entry.message, extra=_progress(name, entry.message))


def forward_worker_logs() -> None:
    """Shows the log records of worker processes; a second call changes nothing."""
    logger = logging.getLogger(_BEAM_LOGGER)
    if not any(isinstance(handler, _WorkerLogHandler) for handler in logger.handlers):
        logger.addHandler(_WorkerLogHandler())


def _own_logger_name(log_location: str) -> str | None:
    """Returns the logger of a module of this project, from `/path/to/module.py:line`; None for any other."""
    path = Path(log_location.rpartition(":")[0])
    if not path.is_relative_to(_ROOT):
        return None
    parts = path.relative_to(_ROOT).with_suffix("").parts
    return ".".join(parts) if parts and parts[0] in _OWN_PACKAGES else None


def _progress(logger_name: str, message: str) -> dict[str, object]:
    match = _PROGRESS.fullmatch(message) if logger_name == "components.common.progress" else None
    if not match:
        return {}
    # Each worker counts for itself: a share of the total would be that of one worker.
    progress = {"description": f"{match['description']}, in one worker", "completed": int(match["completed"])}
    return {"progress": {**progress, "total": None, "unit": match["unit"]}}
