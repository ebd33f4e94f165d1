"""From an exception to one clear line.

Called by `pipeline.commands`. Beam reports an exception of a worker as text inside an exception of its own, so a
UserError may have to be found in its message.
"""

import re
from pathlib import Path

from rich.traceback import Traceback

from components.errors import UserError
from pipeline.console import RunConsole

_BEAM_SUFFIX = re.compile(r" \[while running .*\]$")
_IN_BEAM_MESSAGE = re.compile(
    rf"{UserError.__module__}\.{UserError.__name__}: (?P<message>[^\n]+?)(?: \[while running|\n|$)"
)


def user_error_message(error: BaseException) -> str | None:
    """Returns the message of the UserError that an exception is, was caused by, or quotes; None without one."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return _BEAM_SUFFIX.sub("", str(seen))
        if quoted := _IN_BEAM_MESSAGE.search(str(seen)):
            return quoted["message"]
        seen = seen.__cause__ or seen.__context__
    return None


def report_failure(error: Exception, console: RunConsole, log_file: Path, verbose: bool) -> int:
    """Prints what went wrong.

    Args:
        error: What was raised.
        console: Where to print.
        log_file: Where the details are.
        verbose: Whether to print the traceback of an unexpected error.

    Returns:
        The exit status.
    """
    message = user_error_message(error)
    if message is None:
        message = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')} (details: {log_file})"
        import logging

        logging.getLogger("failure").error("the run failed", exc_info=error)
        if verbose:
            console.console.print(Traceback.from_exception(type(error), error, error.__traceback__))
    console.console.print(f"error: {message}", style="red", markup=False)
    return 1
