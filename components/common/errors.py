"""The error that means "the user can fix this": raised anywhere, printed as one line by the runners."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Final

_MAX_REASON_LENGTH: Final = 300


class UserError(Exception):
    """Bad input or environment. The message is one line: what was received and what to do.

    Runners print it without a traceback and exit with its status.
    """

    exit_status = 1


class UsageError(UserError):
    """A command line that cannot be used: a value out of range, an unknown name, a missing file."""

    exit_status = 2


# What the operating system says of a path that is wrong; its other errors are of the disk, the network or permissions.
_PATH_ERRORS: Final = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Turns UserErrors into UsageErrors, around what only reads the command line and the files that it names.

    Errors of the disk, the network or permissions stay UserErrors.
    """
    try:
        yield
    except UserError as error:
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, _PATH_ERRORS):
            raise
        raise UsageError(str(error)) from error


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, or the error's type if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def reason_of(error: Exception) -> str:
    """Returns the message of a storage error, on one line; TensorFlow's is in `message`."""
    return " ".join(str(getattr(error, "message", error)).split())[:_MAX_REASON_LENGTH]


@contextlib.contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Turns errors of a disk, a bucket or TensorFlow's file operations into a UserError, "ACTION: REASON"."""
    try:
        yield
    except Exception as error:
        # TensorFlow's errors exist only if it is loaded.
        tensorflow = sys.modules.get("tensorflow")
        if not isinstance(error, (OSError, tensorflow.errors.OpError) if tensorflow else OSError):
            raise
        raise UserError(f"{action}: {reason_of(error)}") from error


_USER_INFO = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*@", re.IGNORECASE)


def refuse_credentials(what: str, address: str) -> None:
    """Raises UserError if a URL or URI has a user name or password before its host; `what` names it in the message."""
    if _USER_INFO.match(address):
        raise UserError(f"{what} holds a user name or a password, which others could read: remove it from the address")
