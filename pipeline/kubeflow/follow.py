"""Follows a run on Kubeflow, as a live table of its tasks or line by line."""

import contextlib
import datetime
import json
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Column, Table

from components.common.errors import UserError
from pipeline.kubeflow.connection import Connection
from pipeline.kubeflow.submit import StartedRun

SUCCEEDED = "SUCCEEDED"
# The server writes unknown times as the start of 1970.
_UNSET_YEAR = 1970
_FINAL = (SUCCEEDED, "FAILED", "SKIPPED", "CANCELED", "CANCELLED")
_STYLES = {SUCCEEDED: "green", "FAILED": "red", "RUNNING": "cyan", "CACHED": "green", "SKIPPED": "dim"}
_PENDING = "PENDING"

View = Callable[[Any], None]  # Shows the status of a run, a V2beta1Run.
Workflow = dict[str, Any]

# Kubeflow's API does not name pods, but the Argo workflow does. The name of a task's node is
# WORKFLOW.root.TASK.executor, with the try's number if it may be tried again.
_EXECUTOR = re.compile(r"\.(?P<task>[^.]+)\.executor(\((?P<attempt>\d+)\))?$")


def log_addresses(connection: Connection, run_id: str) -> dict[str, str]:
    """Returns the address of the log of each task's latest pod in Kubeflow's user interface, by task.

    Pending and cached tasks have no pod. The result is empty if the server does not return the Argo workflow.
    """
    try:
        details = json.loads(connection.get(f"apis/v1beta1/runs/{run_id}"))
        workflow: Workflow = json.loads(details["pipeline_runtime"]["workflow_manifest"])
    except (UserError, KeyError, ValueError, TypeError):
        return {}
    query = {"runid": run_id, "podnamespace": workflow["metadata"].get("namespace", "")}
    return {
        task: connection.url(f"k8s/pod/logs?{urllib.parse.urlencode({'podname': pod, **query})}")
        for task, pod in pod_names(workflow).items()
    }


def pod_names(workflow: Workflow) -> Mapping[str, str]:
    """Returns the name of each task's latest pod in an Argo workflow."""
    latest: dict[str, tuple[int, str]] = {}
    for node in workflow.get("status", {}).get("nodes", {}).values():
        found = _EXECUTOR.search(node["name"])
        if found and node["type"] == "Pod":
            pod = int(found["attempt"] or 0), _pod_name(workflow, node)
            latest[found["task"]] = max(pod, latest.get(found["task"], pod))
    return {task: name for task, (_, name) in latest.items()}


def _pod_name(workflow: Workflow, node: Mapping[str, Any]) -> str:
    """Derives a pod's name from its node's id like Argo, and like Kubeflow's RetrievePodName in util/workflow.go."""
    if workflow["metadata"].get("annotations", {}).get("workflows.argoproj.io/pod-name-format") == "v1":
        return str(node["id"])
    return f"{workflow['metadata']['name']}-{node['templateName']}-{node['id'].rpartition('-')[2]}"


def follow_run(
    connection: Connection, run: StartedRun, console: Console, poll_seconds: float, line_by_line: bool = False
) -> str:
    """Shows a run's tasks until it ends, and returns its final state, such as SUCCEEDED.

    `line_by_line` prints a line for each change of a task, with the address of its log, instead of a live table.
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
        yield lambda status: live.update(_status_table(run, status), refresh=True)


def _status_table(run: StartedRun, status: Any) -> Table:
    table = Table("task", "state", Column("time", justify="right"), title=f"{run.name}: {status.state or _PENDING}")
    tasks = _tasks(status)
    for name in run.tasks:
        state = _state(tasks.get(name))
        table.add_row(name, state, _duration(tasks.get(name)), style=_STYLES.get(state, ""))
    return table


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
                line = f"{time.strftime('%H:%M:%S')}  {name:{width}}  {state:9}  {_duration(tasks[name]):>7}  {log}"
                console.print(line.rstrip(), style=_STYLES.get(state, ""), soft_wrap=True, markup=False)

    yield view


def _tasks(status: Any) -> dict[str, Any]:
    """Returns the tasks by name; the server also lists the pods of drivers and executors."""
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
