"""Names that control a terminal are shown, and do nothing."""

import io

import click
from click.testing import CliRunner
from rich.table import Table

from pipeline.cli.group import CommandGroup, echo
from pipeline.local_run.console import RunConsole
from pipeline.terminal import Terminal

HOSTILE = "roses\x1b]0;owned\x07\x1b[2J\u202egpj.\r\nexe"
HARMLESS = "roses\N{REPLACEMENT CHARACTER}]0;owned"
UNWANTED = "\x1b\x07\u202e"


def test_tables_and_lines_hold_no_control_characters() -> None:
    file = io.StringIO()
    terminal = Terminal(file=file, width=100)
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    terminal.print(table)
    terminal.print(HOSTILE, markup=False)
    RunConsole(terminal).message(HOSTILE)
    shown = file.getvalue()
    assert shown.count(HARMLESS) == 5
    assert not set(UNWANTED) & set(shown)


def test_lines_of_commands_hold_none() -> None:
    command = click.Command("say", callback=lambda: echo(HOSTILE))
    result = CliRunner().invoke(CommandGroup(commands=[command]), ["say"])
    assert HARMLESS in result.output
    assert not set(UNWANTED) & set(result.output)


def test_own_colours_stay() -> None:
    file = io.StringIO()
    Terminal(file=file, force_terminal=True, color_system="standard").print("[red]failed[/]")
    assert file.getvalue() == "\x1b[31mfailed\x1b[0m\n"
