"""Follows a run on Kubeflow with a table of its tasks."""

import datetime
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from pipeline.kubeflow.api import Connection
from pipeline.kubeflow.submit import StartedRun

SUCCEEDED = "SUCCEEDED"
# The server states times that are not known yet as the beginning of 1970.
_UNSET_YEAR = 1970
_FINAL = (SUCCEEDED, "FAILED", "SKIPPED", "CANCELED", "CANCELLED")
_STYLES = {SUCCEEDED: "green", "FAILED": "red", "RUNNING": "cyan", "CACHED": "green", "SKIPPED": "dim"}


def follow_run(connection: Connection, run: StartedRun, console: Console, poll_seconds: float) -> str:
    """Shows a run's tasks until it ends.

    Args:
        connection: The server.
        run: The run.
        console: Where to draw.
        poll_seconds: Time between two questions to the server.

    Returns:
        The run's final state, such as SUCCEEDED.

    Raises:
        UserError: The server cannot be reached any more or refuses.
    """
    client = connection.client()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            with connection.readable_errors():
                status = client.get_run(run.id)
            live.update(status_table(run, status), refresh=True)
            if status.state in _FINAL:
                break
            time.sleep(poll_seconds)
    for task in _tasks(status).values():
        if task.state == "FAILED" and task.error:
            console.print(f"{task.display_name}: {task.error.message}", style="red", markup=False)
    return str(status.state)


def status_table(run: StartedRun, status: Any) -> Table:
    """Draws a run's tasks.

    Args:
        run: The run.
        status: What the server says of it, a V2beta1Run.
    """
    table = Table(title=f"{run.name}: {status.state or 'PENDING'}")
    for column in ("task", "state"):
        table.add_column(column)
    table.add_column("time", justify="right")
    tasks = _tasks(status)
    for name in run.tasks:
        task = tasks.get(name)
        state = (task.state if task else None) or "PENDING"
        table.add_row(name, state, _duration(task), style=_STYLES.get(state, ""))
    return table


def _tasks(status: Any) -> dict[str, Any]:
    """Returns the tasks by name; the server lists the drivers' and executors' pods beside them."""
    details = status.run_details.task_details if status.run_details else None
    return {task.display_name: task for task in details or []}


def _duration(task: Any) -> str:
    if not task or not task.start_time or task.start_time.year <= _UNSET_YEAR:
        return ""
    finished = task.end_time and task.end_time >= task.start_time
    end = task.end_time if finished else datetime.datetime.now(task.start_time.tzinfo)
    return f"{(end - task.start_time).total_seconds():.0f} s"
