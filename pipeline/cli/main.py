"""The command line of `local_runner.py`.

A command's module is imported when the command is used; TensorFlow and TFX when it runs.
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import click
from click.shell_completion import CompletionItem

from pipeline.cli.group import CommandGroup, run_command_line

PROGRAM_NAME = "local_runner.py"
# Modules with a command of the same name, in the order of the README, and the first sentence of each command's help.
SUMMARIES: Final = {
    "runs": "List runs, latest first: data, backbone, accuracy, blessed or not, time.",
    "report": "Write the report of RUN as one HTML page.",
    "why": "Say why RUN was or was not blessed.",
    "labels": "List the photos of RUN with doubtful labels.",
    "compare": "Show the differences between two runs: parameters, metrics per class, predictions.",
    "lineage": "Trace a model back to its dataset, code and parameters, or a dataset forward to its models.",
    "artifacts": "List artifacts: id, type, component, time and path.",
    "show": "Show all details of an artifact or an execution.",
    "tensorboard": "Open TensorBoard on what the Trainer logged.",
    "run": "Ingest, validate, transform, extract features, train, evaluate, and push if blessed.",
    "predict": "Classify photos with the latest pushed model.",
    "doctor": "Check versions, backbones, disk and network, and say how to fix what is wrong.",
    "completion": "Print a script that defines the command `flowers` for this runner, with tab completion.",
}


class _Commands(Mapping[str, click.Command]):
    """The commands by name, imported when they are looked up."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in SUMMARIES:
            raise KeyError(name)
        return cast("click.Command", getattr(importlib.import_module(f"pipeline.cli.{name}"), name))

    def __contains__(self, name: object) -> bool:
        return name in SUMMARIES

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


class _DefaultGroup(CommandGroup):
    """A group with a default command."""

    default_command = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Inserts the default command before an option other than help."""
        completes_command = ctx.resilient_parsing and not args
        starts_with_option = not args or (args[0].startswith("-") and args[0] not in ("--help", "-h"))
        if not completes_command and starts_with_option:
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the summaries, which need no command to be imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes commands, and the options of the default one."""
        found = [CompletionItem(name, help=text) for name, text in SUMMARIES.items() if name.startswith(incomplete)]
        default = self.commands[self.default_command]
        options = default.shell_complete(click.Context(default, parent=ctx), incomplete) if incomplete else []
        return found + options


@click.group(
    cls=_DefaultGroup,
    commands=_Commands(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
def cli() -> None:
    """Transfer learning on TFX: photos in, a blessed and pushed SavedModel out.

    The default command is `run`: `local_runner.py --photos DIR` is `local_runner.py run --photos DIR`.

    Exit status of every command: 1 failed while running, 2 the command line cannot be used, 130 interrupted.
    """


def main(args: list[str] | None = None) -> Any:
    """Runs the command line."""
    return run_command_line(cli, args, PROGRAM_NAME)
