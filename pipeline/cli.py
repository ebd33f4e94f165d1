"""The command line of `local_runner.py`.

TensorFlow and TFX are imported by the commands that need them, not here: `--help` has to answer at once.
"""

import sys
from typing import Any

import click

from pipeline.commands.run import run


class _DefaultGroup(click.Group):
    """A group whose first command is meant when none is named."""

    default_command = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the default command first unless a command, or help, is asked for."""
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_DefaultGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Transfer learning on TFX: photos in, a blessed and pushed SavedModel out.

    Without a command, `run` is meant: `local_runner.py --photos DIR` is `local_runner.py run --photos DIR`.
    """


cli.add_command(run)


def main(args: list[str] | None = None) -> Any:
    """Runs the command line; user errors become one line and exit status 1."""
    from components.errors import UserError

    try:
        return cli.main(args, prog_name="local_runner.py")
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
