"""`local_runner.py doctor`: is this machine ready, and what to do if not."""

import sys
from pathlib import Path

import click

from pipeline.cli.store_options import console, print_json

_STYLES = {"ok": "green", "warning": "yellow", "broken": "red"}


@click.command()
@click.option("--output", metavar="DIR", default="output", show_default=True, help="Where runs would write.")
@click.option("--quick", is_flag=True, help="Look at versions only; do not import TensorFlow and TFX.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(output: str, quick: bool, as_json: bool) -> None:
    """Check versions, backbones, disk and network, and say how to fix what is wrong.

    Exit status: 1 if something is broken that every run needs.
    """
    from rich.markup import escape
    from rich.table import Table

    from pipeline.cli.environment import BROKEN, examine

    findings = examine(Path(output).expanduser().absolute(), with_imports=not quick)
    if as_json:
        print_json(findings)
    else:
        table = Table("check", "", "found", "what to do")
        for finding in findings:
            status = f"[{_STYLES[finding.status]}]{finding.status}[/]"
            table.add_row(finding.check, status, escape(finding.found), escape(finding.fix))
        console().print(table)
    if any(finding.status == BROKEN for finding in findings):
        sys.exit(1)
