"""One clear line for an exception. Beam quotes a worker's UserError in the text of another exception."""

import logging
import re
from pathlib import Path

from rich.traceback import Traceback

from components.common.errors import UserError
from pipeline.local_run.console import RunConsole

_BEAM_SUFFIX = re.compile(r" \[while running .*\]$")
_IN_BEAM_MESSAGE = re.compile(rf"{UserError.__module__}\.\w+: (?P<message>[^\n]+?)(?: \[while running|\n|$)")
# The operating system's and SQLite's words, which libraries wrap in exceptions of many types.
_ENVIRONMENT = (
    (
        re.compile(r"No space left on device|disk is full|Disk quota exceeded"),
        "the disk is full: free some space and run the same command again; finished steps are kept",
    ),
    (
        re.compile(r"Concurrent writes aborted|database is locked"),
        "the metadata store is locked by another process: end that process and run the same command again",
    ),
    (
        re.compile(r"Read-only file system|readonly database"),
        "the file system has become read-only: choose another --output, or make it writable",
    ),
)


def was_interrupted(error: BaseException) -> bool:
    """Tells whether Ctrl-C is behind an exception; Beam raises a RuntimeError that quotes it."""
    return any(isinstance(seen, KeyboardInterrupt) or "KeyboardInterrupt" in str(seen) for seen in _chain(error))


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while following := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(following)
    return chain


def user_error_message(error: BaseException) -> str | None:
    """Returns a message if an error is, was caused by or quotes a UserError, or tells of a full disk or the like."""
    chain = _chain(error)
    for seen in chain:
        if isinstance(seen, UserError):
            return _BEAM_SUFFIX.sub("", str(seen))
        if quoted := _IN_BEAM_MESSAGE.search(str(seen)):
            return quoted["message"]
    return next((text for seen in chain for known, text in _ENVIRONMENT if known.search(str(seen))), None)


def report_failure(
    error: Exception, console: RunConsole, log_file: Path, verbose: bool, prefix: str = "error: "
) -> int:
    """Prints one line, with `verbose` also the traceback of an unexpected error, and returns the exit status."""
    message = user_error_message(error)
    if message is None:
        message = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')} (details: {log_file})"
        logging.getLogger("failure").error("the run failed", exc_info=error)
        if verbose:
            console.console.print(Traceback.from_exception(type(error), error, error.__traceback__))
    console.console.print(f"{prefix}{message}", style="red", markup=False)
    return error.exit_status if isinstance(error, UserError) else UserError.exit_status
