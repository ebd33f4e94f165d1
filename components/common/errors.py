"""The error that means "the user can fix this": raised anywhere, printed as one line by the runners."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Final

_MAX_REASON_LENGTH: Final = 300


class UserError(Exception):
    """Bad input or environment, with a message that names what was received and what to do.

    The message is one line. Runners print it without a traceback and exit non-zero.
    """


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, or the error's type if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def reason_of(error: Exception) -> str:
    """Returns what a storage's client says, as part of one line: TensorFlow keeps its own words in `message`."""
    return " ".join(str(getattr(error, "message", error)).split())[:_MAX_REASON_LENGTH]


@contextlib.contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Turns what a disk, a bucket or TensorFlow's file operations raise into a UserError, "ACTION: REASON".

    Args:
        action: What failed, such as "cannot read photos from 's3://flowers'".
    """
    try:
        yield
    except Exception as error:
        # Without TensorFlow there are none of its errors.
        tensorflow = sys.modules.get("tensorflow")
        if not isinstance(error, (OSError, tensorflow.errors.OpError) if tensorflow else OSError):
            raise
        raise UserError(f"{action}: {reason_of(error)}") from error


_USER_INFO = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*@", re.IGNORECASE)


def refuse_credentials(what: str, address: str) -> None:
    """Checks that an address has no user name or password before its host.

    Args:
        what: What the address is, for the message.
        address: A URL, a URI of a bucket, or any other text.

    Raises:
        UserError: It has; the message does not repeat the address.
    """
    if _USER_INFO.match(address):
        raise UserError(f"{what} holds a user name or a password, which others could read: take it out of the address")
