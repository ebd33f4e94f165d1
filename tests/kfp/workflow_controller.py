"""Runs the workflows that are created in the Kubernetes API, and reports them to Kubeflow Pipelines.

In place of Argo's controller and of Kubeflow's persistence agent, which sends every change of a workflow to the API
server (backend/src/agent/persistence).
"""

import datetime
import http
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from argo import FAILED, RUNNING, Step, WorkflowRun
from kubernetes_api import KubernetesApi
from pods import Node

_ISO = "%Y-%m-%dT%H:%M:%SZ"
_KIND = "/workflows/"
_PAUSE_SECONDS = 0.2


class WorkflowController:
    """Watches for workflows; `runs` has all of them, by name, and `errors` what went wrong in the controller itself."""

    def __init__(self, api: KubernetesApi, node: Node, host: str, workers: int = 2):
        self.runs: dict[str, WorkflowRun] = {}
        self.errors: list[BaseException] = []
        self._api, self._node, self._host = api, node, host
        self._slots = threading.Semaphore(workers)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            path = self._api.created.get()
            if _KIND in path:
                manifest = self._api.objects[path]
                changed = threading.Event()
                run = WorkflowRun(manifest, self._node, self._slots, changed)
                self.runs[manifest["metadata"]["name"]] = run
                threading.Thread(target=self._guard, args=(run.run,), daemon=True).start()
                threading.Thread(target=self._guard, args=(self._report, path, run, changed), daemon=True).start()

    def _guard(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except BaseException as error:
            self.errors.append(error)
            raise

    def _report(self, path: str, run: WorkflowRun, changed: threading.Event) -> None:
        """Sends each state of a run, until its last one has been taken."""
        phase = RUNNING
        while phase == RUNNING:
            changed.wait()
            changed.clear()
            status = workflow_status(run)
            phase = status["phase"]
            manifest = self._api.put(path, {**self._api.objects[path], "status": status})
            text = json.dumps(json.dumps(manifest)).encode()
            request = urllib.request.Request(
                f"{self._host}/apis/v2beta1/workflows", text, {"Content-Type": "application/json"}
            )
            try:
                urllib.request.urlopen(request, timeout=60).close()
            except urllib.error.HTTPError as error:
                # The run is not in the server's database yet.
                assert error.code == http.HTTPStatus.SERVICE_UNAVAILABLE, error.read()
                time.sleep(_PAUSE_SECONDS)
                changed.set()
                phase = RUNNING


def workflow_status(run: WorkflowRun) -> dict[str, Any]:
    """Returns what Argo would write into a workflow's status."""
    root = run.steps[0]
    status = {
        "phase": root.phase,
        "startedAt": _time(root.started),
        "message": root.message,
        "nodes": {step.id: _node_status(step) for step in list(run.steps)},
    }
    if root.finished:
        status["finishedAt"] = _time(root.finished)
    return status


def _node_status(step: Step) -> dict[str, Any]:
    status = {
        "id": step.id,
        "name": step.name,
        "displayName": step.name.rpartition(".")[2],
        "type": step.type,
        "templateName": step.template,
        "phase": step.phase,
        "startedAt": _time(step.started),
        "children": list(step.children),
    }
    if step.phase == FAILED:
        status["message"] = step.message
    if step.finished:
        status["finishedAt"] = _time(step.finished)
    return status


def _time(moment: datetime.datetime) -> str:
    return moment.strftime(_ISO)
