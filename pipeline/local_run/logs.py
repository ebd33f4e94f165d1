"""Logging: this project's records reach the terminal, other libraries' only on request."""

import contextlib
import logging
import os
import sys
import warnings
from pathlib import Path

from rich.logging import RichHandler

from components.common.errors import UserError
from pipeline.local_run.console import ConsoleHandler, RunConsole

_STDERR = 2


def configure_logging(console: RunConsole, log_file: Path | None, verbose: bool) -> None:
    """Sends this project's log records to the terminal, all records at INFO and above to a file.

    With `verbose`, other libraries' records and warnings reach the terminal as well. Raises UserError if the log file
    cannot be written.
    """
    # A full disk is reported once, not for every log record.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(logging.INFO)
    if log_file:
        try:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            file_handler = logging.FileHandler(log_file)
        except OSError as error:
            raise UserError(f"cannot write to {log_file}: {error.strerror}; choose another --output") from error
        file_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(file_handler)
    if verbose:
        root.addHandler(RichHandler(console=console.console, show_path=False))
    else:
        warnings.filterwarnings("ignore")
        root.addHandler(logging.NullHandler())
    for name in ("components", "pipeline"):
        logging.getLogger(name).addHandler(ConsoleHandler(console))
    _quiet_absl()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0" if verbose else "3"


def divert_native_output(log_file: Path | None) -> None:
    """Sends what C++ libraries and worker processes write to standard error to a file, or drops it.

    Python's `sys.stderr` still reaches the terminal. TensorFlow writes before its log level takes effect.
    """
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.fileno() != _STDERR:
            return
        sys.stderr.flush()
        terminal = os.dup(_STDERR)
        target = os.open(log_file or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, _STDERR)
        os.close(target)
        sys.stderr = os.fdopen(terminal, "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors)


def _quiet_absl() -> None:
    # absl installs a handler of its own on the root logger, which would print every record a second time.
    import absl.logging

    absl.logging.get_absl_handler().setLevel(logging.FATAL)
    absl.logging.set_verbosity(absl.logging.INFO)
    logging.getLogger().removeHandler(absl.logging.get_absl_handler())
