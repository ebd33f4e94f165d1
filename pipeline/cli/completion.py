"""`local_runner.py completion`: tab completion, and a short command to complete."""

import shlex
import sys
from pathlib import Path

import click

_COMMAND = "flowers"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh"]))
def completion(shell: str) -> None:
    """Print a script that defines the command `flowers` for this runner, with tab completion.

    Load it with: eval "$(python local_runner.py completion bash)", and put that line into ~/.bashrc or ~/.zshrc.
    """
    click.echo(completion_script(shell, sys.executable, Path(sys.argv[0]).absolute()))


def completion_script(shell: str, python: str, runner: Path) -> str:
    """Returns shell code that defines a function `flowers`, which runs `runner` with `python`, and its completion."""
    from click.shell_completion import get_completion_class

    from pipeline.cli.main import PROGRAM_NAME, cli

    completer_class = get_completion_class(shell)
    if completer_class is None:
        raise click.UsageError(f"no completion for {shell}")
    # Click reads this variable when the runner starts.
    variable = f"_{PROGRAM_NAME}_COMPLETE".replace(".", "_").upper()
    completer = completer_class(cli, {}, _COMMAND, variable)
    # The command is a shell function, but click's scripts expect an executable, which `env` runs.
    source = completer.source_template % completer.source_vars()
    source = source.replace("$(env ", "$(").replace(f"(( ! $+commands[{_COMMAND}] )) && return 1", "")
    return f'{_COMMAND}() {{ {shlex.quote(python)} {shlex.quote(str(runner))} "$@"; }}\n{source}'
