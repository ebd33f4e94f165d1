"""The command line of `local_runner.py`.

Commands import TensorFlow and TFX only when they run, so that `--help` is fast.
"""

import importlib
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from components.common.errors import UserError

PROGRAM_NAME = "local_runner.py"
# Modules with a command of the same name, in the order of the README.
_COMMANDS = (
    "runs", "report", "why", "labels", "compare", "lineage", "artifacts", "show", "tensorboard",
    "run", "predict", "doctor", "completion",
)  # fmt: skip


class _DefaultGroup(click.Group):
    """A group with a default command."""

    default_command = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Inserts the default command unless a command or help is requested."""
        completes_command = ctx.resilient_parsing and not args
        if not completes_command and (not args or args[0] not in (*self.commands, "--help", "-h")):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes commands, and the options of the default one."""
        default = self.commands[self.default_command]
        found = super().shell_complete(ctx, incomplete)
        known = {item.value for item in found}
        options = default.shell_complete(click.Context(default, parent=ctx), incomplete) if incomplete else []
        return found + [item for item in options if item.value not in known]


@click.group(cls=_DefaultGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Transfer learning on TFX: photos in, a blessed and pushed SavedModel out.

    The default command is `run`: `local_runner.py --photos DIR` is `local_runner.py run --photos DIR`.
    """


for _name in _COMMANDS:
    cli.add_command(getattr(importlib.import_module(f"pipeline.cli.{_name}"), _name))


def main(args: list[str] | None = None) -> Any:
    """Runs the command line; user errors become one line and exit status 1."""
    try:
        return cli.main(args, prog_name=PROGRAM_NAME)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
