"""The error that means "the user can fix this": raised anywhere, printed as one line by the runners."""


class UserError(Exception):
    """Bad input or environment, with a message that names what was received and what to do.

    The message is one line. Runners print it without a traceback and exit non-zero.
    """
