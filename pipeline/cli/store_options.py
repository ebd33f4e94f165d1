"""Options and output of the inspection commands."""

import dataclasses
import datetime
import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.table import Table

from pipeline.terminal import Terminal

# Wide enough for every table when the output is a file or a pipe, where lines are not cut.
_PIPE_WIDTH = 200


def local_path(_context: click.Context, _parameter: click.Parameter, path: str | None) -> str | None:
    """Returns the value of an option that takes a path on this machine; raises click.BadParameter for a URI."""
    if path and "://" in path:
        raise click.BadParameter(
            f"{path} is not a path on this machine, where the records of runs are, even if --output was a bucket"
        )
    return path


def output_option(text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that adds `--output`, a folder on this machine."""
    return click.option("--output", metavar="DIR", default="output", show_default=True, help=text, callback=local_path)


def store_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds `--output`, `--metadata` and `--json`; the command gets `store` and `as_json`."""

    @output_option("The --output of the runs, or a copy.")
    @click.option("--metadata", metavar="URI", help="Database of ML Metadata (see `run --help`).")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(command)
    def with_store(*args: Any, output: str, metadata: str | None, **kwargs: Any) -> None:
        # Imported late, because ML Metadata's client slows down `--help`.
        from pipeline.records.store import open_store

        command(*args, store=open_store(output, metadata), **kwargs)

    return with_store


def console() -> Terminal:
    """Returns standard output; in a pipe, as wide as the tables."""
    out = Terminal(highlight=False)
    return out if out.is_terminal else Terminal(highlight=False, width=_PIPE_WIDTH)


def table(*headings: str, numbers: Sequence[str] = (), title: str | None = None) -> Table:
    """Returns a table with columns for text, then for `numbers`, aligned right."""
    found = Table(*headings, title=title, title_justify="left")
    for heading in numbers:
        found.add_column(heading, justify="right")
    return found


def time_text(milliseconds: int) -> str:
    """Returns local time: `2026-01-31 08:00:00`."""
    return datetime.datetime.fromtimestamp(milliseconds / 1000).isoformat(" ", "seconds")


def print_json(content: Any) -> None:
    """Prints dataclasses, or containers of them, as JSON."""
    click.echo(json.dumps(content, indent=2, default=_plain))


def percent(value: float | None) -> str:
    """Returns a share for a table: `92.0%`, or a dash for None."""
    return "-" if value is None else f"{value:.1%}"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
