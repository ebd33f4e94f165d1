"""What the inspection commands share: their options, and how they answer."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from components.common.errors import UserError
from pipeline.history.store import RunStore

_METADATA_FILE = "metadata.sqlite"
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
        command(*args, store=open_store(output, metadata), **kwargs)

    return with_store


def open_store(output: str, metadata: str | None) -> RunStore:
    """Opens the metadata store of an output folder, read-only.

    Args:
        output: The folder that runs wrote to, or a copy of it.
        metadata: Another place of ML Metadata; None is the output folder.

    Returns:
        The runs.

    Raises:
        UserError: There is no store, or it cannot be opened.
    """
    from pipeline.history.connection import connect, connection_config
    from pipeline.history.records import MetadataQueries

    folder = Path(output).expanduser().absolute()
    if metadata is None and not (folder / _METADATA_FILE).is_file():
        raise UserError(
            f"no metadata store in {folder} (no {_METADATA_FILE}): give the --output of a run, or start one with "
            "`local_runner.py run`"
        )
    config = connection_config(metadata or f"sqlite:{folder / _METADATA_FILE}", read_only=True)
    return RunStore(MetadataQueries(connect(config)), folder)


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
