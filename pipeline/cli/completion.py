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
    """Writes the script.

    Click's own templates complete an executable of one word; this runner is a script that Python runs.

    Args:
        shell: `bash` or `zsh`.
        python: The interpreter that runs the runner.
        runner: `local_runner.py`.

    Returns:
        Shell code.
    """
    from click.shell_completion import get_completion_class

    from pipeline.cli.main import PROGRAM_NAME, cli

    completer_class = get_completion_class(shell)
    if completer_class is None:
        raise click.UsageError(f"no completion for {shell}")
    # The variable that click looks for when the runner starts.
    variable = f"_{PROGRAM_NAME}_COMPLETE".replace(".", "_").upper()
    completer = completer_class(cli, {}, _COMMAND, variable)
    words = f"{shlex.quote(python)} {shlex.quote(str(runner))}"
    called = "$1" if shell == "bash" else _COMMAND
    source = completer.source_template % completer.source_vars()
    source = source.replace(f"={shell}_complete {called})", f"={shell}_complete {words})")
    # Click leaves a shell function alone, and that is what the command is.
    source = source.replace(f"(( ! $+commands[{_COMMAND}] )) && return 1", "")
    return f'{_COMMAND}() {{ {words} "$@"; }}\n{source}'
