"""Fixtures of the inspection tests: a real metadata store and a way to ask the command line."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pytest
from click.testing import CliRunner
from memory_folder import memory_folder
from recorded_runs import RecordedRuns, predictions

from pipeline.cli.main import cli
from pipeline.records.connection import sqlite_config

Ask = Callable[..., Any]


@pytest.fixture
def output() -> Iterator[Path]:
    """The output folder of the recorded runs."""
    with memory_folder() as folder:
        yield folder / "output"


@pytest.fixture
def runs(output: Path) -> RecordedRuns:
    """An output folder whose store has no run yet."""
    return RecordedRuns(mlmd.MetadataStore(sqlite_config(output / "metadata.sqlite")), output)


@pytest.fixture
def two_runs(runs: RecordedRuns) -> RecordedRuns:
    """`run-a` (blessed, 4 of 100 wrong) and `run-b` (data from the cache, 12 wrong, missing both thresholds)."""
    made = runs.add("run-a", predictions(range(4)), epochs=10)
    runs.add(
        "run-b", predictions(range(2, 14)), epochs=2, min_accuracy=0.9, baseline="run-a", examples=made["examples"]
    )
    return runs


@pytest.fixture
def unused_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def ask(output: Path) -> Ask:
    """Runs a command with `--json` and returns its answer; `text=True` returns what is printed without `--json`."""

    def ask_command(*args: str, at: Path = output, text: bool = False) -> Any:
        options = ["--output", str(at), *([] if text else ["--json"])]
        result = CliRunner().invoke(cli, [*args, *options])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout if text else json.loads(result.stdout)

    return ask_command
