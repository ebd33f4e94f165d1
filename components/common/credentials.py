"""Credentials are refused where they would be kept: in a compiled pipeline, in ML Metadata, in logs."""

import re

from components.common.errors import UserError

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
