"""Where the logs of a run's tasks are: Kubeflow's API names no pods, but hands out the Argo workflow, which does."""

import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from components.common.errors import UserError
from pipeline.kubeflow.server.api import Connection

Workflow = dict[str, Any]

# An Argo node below a task: WORKFLOW.root.TASK.executor, with the try's number if it may be tried again.
_EXECUTOR = re.compile(r"\.(?P<task>[^.]+)\.executor(\((?P<attempt>\d+)\))?$")


def log_addresses(connection: Connection, run_id: str) -> dict[str, str]:
    """Returns where the log of each task's latest pod is shown, by task.

    Args:
        connection: The server; its address is that of the user interface.
        run_id: The run.

    Returns:
        The addresses; none of tasks that have no pod, because they have not begun or were answered from the cache, and
        none at all from a server that does not tell.
    """
    try:
        details = json.loads(connection.get(f"apis/v1beta1/runs/{run_id}"))
        workflow: Workflow = json.loads(details["pipeline_runtime"]["workflow_manifest"])
    except (UserError, KeyError, ValueError, TypeError):
        return {}
    namespace = workflow["metadata"].get("namespace", "")
    query = {"runid": run_id, "podnamespace": namespace}
    return {
        task: f"{connection.host.rstrip('/')}/k8s/pod/logs?{urllib.parse.urlencode({'podname': pod, **query})}"
        for task, pod in pod_names(workflow).items()
    }


def pod_names(workflow: Workflow) -> Mapping[str, str]:
    """Returns the name of each task's latest pod.

    Args:
        workflow: An Argo workflow, as Kubernetes has it.
    """
    latest: dict[str, tuple[int, str]] = {}
    for node in workflow.get("status", {}).get("nodes", {}).values():
        found = _EXECUTOR.search(node["name"])
        if found and node["type"] == "Pod":
            pod = int(found["attempt"] or 0), _pod_name(workflow, node)
            latest[found["task"]] = max(pod, latest.get(found["task"], pod))
    return {task: name for task, (_, name) in latest.items()}


def _pod_name(workflow: Workflow, node: Mapping[str, Any]) -> str:
    """Makes a pod's name of its node's id, as Argo does (and Kubeflow: RetrievePodName in util/workflow.go)."""
    if workflow["metadata"].get("annotations", {}).get("workflows.argoproj.io/pod-name-format") == "v1":
        return str(node["id"])
    return f"{workflow['metadata']['name']}-{node['templateName']}-{node['id'].rpartition('-')[2]}"
