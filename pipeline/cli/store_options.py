"""What the inspection commands share: their options, and how they answer."""

import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

# Wide enough for every table when the output is a file or a pipe, where lines are not cut.
_PIPE_WIDTH = 200


def store_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds `--output`, `--metadata` and `--json`; the command gets `store` and `as_json`."""

    @click.option(
        "--output", metavar="DIR", default="output", show_default=True, help="The --output of the runs, or a copy."
    )
    @click.option("--metadata", metavar="URI", help="ML Metadata elsewhere than in --output (see `run --help`).")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
    @functools.wraps(command)
    def with_store(*args: Any, output: str, metadata: str | None, **kwargs: Any) -> None:
        # Not for `--help`: ML Metadata's client takes a while to import.
        from pipeline.records.store import open_store

        command(*args, store=open_store(output, metadata), **kwargs)

    return with_store


def console() -> Console:
    """Returns standard output; in a pipe, as wide as the tables."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


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
