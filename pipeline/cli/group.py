"""What the command lines of both runners share: empty arguments, Ctrl-C, and the exit status of an error.

Status 2: the command line cannot be used (a value out of range, an unknown name, a missing file). Status 1: a failure
while running.
"""

import re
import sys
from typing import Any, Final

import click

from components.common.errors import UserError
from components.common.text import printable

INTERRUPTED_EXIT_STATUS: Final = 130
_EMPTY_OPTION: Final = re.compile(r"--[\w-]+=")


def echo(message: str, err: bool = False) -> None:
    """Prints a line without unprintable characters, which names of files and classes may hold."""
    click.echo(printable(message), err=err)


class CommandGroup(click.Group):
    """A group of commands that takes no empty arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for before, text in zip(["", *args], args):  # noqa: B905  (the last argument precedes nothing)
            if not ctx.resilient_parsing and (not text or _EMPTY_OPTION.fullmatch(text)):
                name = text.rstrip("=") or (before if before.startswith("-") else "an argument")
                raise click.UsageError(f"{name} is empty: is a variable not set?", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            echo("interrupted", err=True)
            ctx.exit(INTERRUPTED_EXIT_STATUS)


def run_command_line(group: click.Group, args: list[str] | None, program: str) -> Any:
    """Runs a command line; a user error becomes one line."""
    try:
        return group.main(args, prog_name=program)
    except UserError as error:
        echo(f"error: {error}", err=True)
        sys.exit(error.exit_status)
