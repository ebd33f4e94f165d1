"""Follows a run on Kubeflow: with a table of its tasks, or with a line for every change."""

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from pipeline.kubeflow.server.api import Connection
from pipeline.kubeflow.server.pod_logs import log_addresses
from pipeline.kubeflow.server.submit import StartedRun

SUCCEEDED = "SUCCEEDED"
# The server states times that are not known yet as the beginning of 1970.
_UNSET_YEAR = 1970
_FINAL = (SUCCEEDED, "FAILED", "SKIPPED", "CANCELED", "CANCELLED")
_STYLES = {SUCCEEDED: "green", "FAILED": "red", "RUNNING": "cyan", "CACHED": "green", "SKIPPED": "dim"}
_PENDING = "PENDING"

# Shows what the server says of a run, a V2beta1Run.
View = Callable[[Any], None]


def follow_run(
    connection: Connection, run: StartedRun, console: Console, poll_seconds: float, line_by_line: bool = False
) -> str:
    """Shows a run's tasks until it ends.

    Args:
        connection: The server.
        run: The run.
        console: Where to draw.
        poll_seconds: Time between two questions to the server.
        line_by_line: Whether every change of a task is a line, with the address of the task's log, and not a table
            that is drawn anew.

    Returns:
        The run's final state, such as SUCCEEDED.

    Raises:
        UserError: The server cannot be reached any more or refuses.
    """
    client = connection.client()
    with _lines(connection, run, console) if line_by_line else _table(run, console) as view:
        while True:
            with connection.readable_errors():
                status = client.get_run(run.id)
            view(status)
            if status.state in _FINAL:
                break
            time.sleep(poll_seconds)
    for task in _tasks(status).values():
        if task.state == "FAILED" and task.error:
            console.print(f"{task.display_name}: {task.error.message}", style="red", markup=False)
    return str(status.state)


@contextlib.contextmanager
def _table(run: StartedRun, console: Console) -> Iterator[View]:
    with Live(console=console, auto_refresh=False) as live:
        yield lambda status: live.update(status_table(run, status), refresh=True)


@contextlib.contextmanager
def _lines(connection: Connection, run: StartedRun, console: Console) -> Iterator[View]:
    shown: dict[str, tuple[str, str]] = {}
    width = max(map(len, run.tasks), default=0)

    def view(status: Any) -> None:
        tasks, logs = _tasks(status), log_addresses(connection, run.id)
        for name in run.tasks:
            state, log = _state(tasks.get(name)), logs.get(name, "")
            if state != _PENDING and shown.get(name) != (state, log):
                shown[name] = state, log
                duration = _duration(tasks[name])
                line = f"{time.strftime('%H:%M:%S')}  {name:{width}}  {state:9}  {duration:>7}  {log}"
                console.print(line.rstrip(), style=_STYLES.get(state, ""), soft_wrap=True, markup=False)

    yield view


def status_table(run: StartedRun, status: Any) -> Table:
    """Draws a run's tasks.

    Args:
        run: The run.
        status: What the server says of it, a V2beta1Run.
    """
    table = Table(title=f"{run.name}: {status.state or _PENDING}")
    for column in ("task", "state"):
        table.add_column(column)
    table.add_column("time", justify="right")
    tasks = _tasks(status)
    for name in run.tasks:
        state = _state(tasks.get(name))
        table.add_row(name, state, _duration(tasks.get(name)), style=_STYLES.get(state, ""))
    return table


def _tasks(status: Any) -> dict[str, Any]:
    """Returns the tasks by name; the server lists the drivers' and executors' pods beside them."""
    details = status.run_details.task_details if status.run_details else None
    return {task.display_name: task for task in details or []}


def _state(task: Any) -> str:
    return str((task.state if task else None) or _PENDING)


def _duration(task: Any) -> str:
    if not task or not task.start_time or task.start_time.year <= _UNSET_YEAR:
        return ""
    finished = task.end_time and task.end_time >= task.start_time
    end = task.end_time if finished else datetime.datetime.now(task.start_time.tzinfo)
    return f"{(end - task.start_time).total_seconds():.0f} s"
