"""Runs Argo Workflows, as far as Kubeflow Pipelines' compiler uses them.

Templates with a container or a DAG, `depends` and `when` of the forms that the compiler writes, output parameters from
files, pod spec patches, and retries with back-off (as in Argo Workflows 4.0: workflow/controller/operator.go). Loops,
exit handlers and volume claim templates are refused.
"""

import concurrent.futures
import dataclasses
import datetime
import itertools
import re
import threading
import time
from typing import Any

from pod_patch import patched
from pods import FinishedPod, Node

Manifest = dict[str, Any]
Values = dict[str, str]

SUCCEEDED, FAILED, OMITTED, SKIPPED = "Succeeded", "Failed", "Omitted", "Skipped"
RUNNING, ERROR = "Running", "Error"
_TAG = re.compile(r"{{([^{}]+)}}")
_REFUSED = ("withItems", "withParam", "withSequence", "hooks")


@dataclasses.dataclass
class Step:
    """A node of the workflow: a DAG, a retried template or a pod."""

    id: str
    name: str
    type: str
    template: str
    started: datetime.datetime
    phase: str = RUNNING
    message: str = ""
    finished: datetime.datetime | None = None
    children: list[str] = dataclasses.field(default_factory=list)
    outputs: Values = dataclasses.field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return self.phase in (SUCCEEDED, SKIPPED)


class WorkflowRun:
    """One run of one workflow: the steps started so far, and the pods that have ended."""

    def __init__(self, manifest: Manifest, node: Node, slots: threading.Semaphore, changed: threading.Event):
        assert not manifest["spec"].get("volumeClaimTemplates"), "not supported"
        self.steps: list[Step] = []
        self.pods: list[FinishedPod] = []
        self._node, self._slots, self._changed = node, slots, changed
        self._numbers = itertools.count()
        self._name = manifest["metadata"]["name"]
        self._entrypoint = manifest["spec"]["entrypoint"]
        self._templates = {template["name"]: template for template in manifest["spec"]["templates"]}
        self._globals = {f"workflow.{key}": manifest["metadata"][key] for key in ("name", "uid", "creationTimestamp")}
        for parameter in manifest["spec"].get("arguments", {}).get("parameters", []):
            self._globals[f"workflow.parameters.{parameter['name']}"] = str(parameter["value"])

    def run(self) -> None:
        """Runs the entry point to its end."""
        try:
            self._run_template(self._entrypoint, {}, self._name)
        except BaseException as error:
            self._finish(self.steps[0], ERROR, repr(error))
            raise

    def _run_template(self, template_name: str, arguments: Values, name: str) -> Step:
        template = self._templates[template_name]
        scope = self._globals | {
            f"inputs.parameters.{parameter['name']}": str(
                arguments.get(parameter["name"], parameter.get("value", parameter.get("default")))
            )
            for parameter in template.get("inputs", {}).get("parameters", [])
        }
        if "dag" in template:
            return self._run_dag(template, scope, name)
        if "retryStrategy" in template:
            return self._run_with_retries(template, scope, name)
        return self._run_pod(template, scope, name)

    def _run_dag(self, template: Manifest, scope: Values, name: str) -> Step:
        step = self._start(name, "DAG", template["name"])
        tasks = {task["name"]: task for task in template["dag"]["tasks"]}
        done: dict[str, Step] = {}
        running: dict[concurrent.futures.Future[Step], str] = {}
        with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
            while len(done) < len(tasks):
                for task_name in tasks.keys() - done.keys() - set(running.values()):
                    needed = _dependencies(tasks[task_name])
                    if not needed <= done.keys():
                        continue
                    if all(done[other].succeeded for other in needed):
                        outputs = {
                            f"tasks.{other}.outputs.parameters.{key}": value
                            for other in needed
                            for key, value in done[other].outputs.items()
                        }
                        running[pool.submit(self._run_task, tasks[task_name], scope | outputs, step)] = task_name
                    else:
                        done[task_name] = self._ended(step, task_name, tasks[task_name]["template"], OMITTED)
                finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    done[running.pop(future)] = future.result()
        failed = [other for other, child in done.items() if child.phase == FAILED]
        return self._finish(step, FAILED if failed else SUCCEEDED, f"child {failed[0]!r} failed" if failed else "")

    def _run_task(self, task: Manifest, scope: Values, parent: Step) -> Step:
        assert not any(key in task for key in _REFUSED), task
        task = substituted({**task, "depends": ""}, scope)
        if not _is_met(task.get("when", "")):
            return self._ended(parent, task["name"], task["template"], SKIPPED)
        arguments = {
            parameter["name"]: str(parameter["value"]) for parameter in task.get("arguments", {}).get("parameters", [])
        }
        child = self._run_template(task["template"], arguments, f"{parent.name}.{task['name']}")
        parent.children.append(child.id)
        return child

    def _run_with_retries(self, template: Manifest, scope: Values, name: str) -> Step:
        step = self._start(name, "Retry", template["name"])
        strategy = substituted(template["retryStrategy"], scope)
        backoff = strategy.get("backoff", {})
        wait, factor = float(backoff.get("duration", 0)), int(backoff.get("factor", 1))
        for attempt in range(int(strategy["limit"]) + 1):
            child = self._run_pod(template, scope | {"retries": str(attempt)}, f"{name}({attempt})")
            step.children.append(child.id)
            step.outputs = child.outputs
            if child.succeeded:
                return self._finish(step, SUCCEEDED)
            # Argo gives up when the next try would start later than this after the first one's start.
            until = step.started.timestamp() + float(backoff.get("maxDuration") or "inf")
            if time.time() + wait > until:
                return self._finish(step, FAILED, "Max duration limit exceeded")
            if attempt < int(strategy["limit"]):
                time.sleep(wait)
                wait *= factor
        return self._finish(step, FAILED, f"No more retries left: {child.message}")

    def _run_pod(self, template: Manifest, scope: Values, name: str) -> Step:
        outputs = template.get("outputs", {}).get("parameters", [])
        paths = {
            f"outputs.parameters.{parameter['name']}.path": parameter["valueFrom"]["path"] for parameter in outputs
        }
        template = substituted(template, scope | paths)
        spec = {
            "initContainers": template.get("initContainers", []),
            "containers": [{**template["container"], "name": "main"}],
            "volumes": template.get("volumes", []),
        }
        spec = patched(spec, template.get("podSpecPatch", ""))
        step = self._start(name, "Pod", template["name"])
        with self._slots:
            pod = self._node.run(f"{self._name}-{template['name']}-{step.id.rpartition('-')[2]}", spec)
        self.pods.append(pod)
        if pod.exit_code:
            return self._finish(step, FAILED, f"main: Error (exit code {pod.exit_code})")
        for parameter in outputs:
            value = pod.read(parameter["valueFrom"]["path"])
            step.outputs[parameter["name"]] = parameter["valueFrom"].get("default") if value is None else value
        return self._finish(step, SUCCEEDED)

    def _start(self, name: str, kind: str, template: str) -> Step:
        step = Step(f"{self._name}-{next(self._numbers)}", name, kind, template, _now())
        self.steps.append(step)
        self._changed.set()
        return step

    def _ended(self, parent: Step, name: str, template: str, phase: str) -> Step:
        step = self._finish(self._start(f"{parent.name}.{name}", "Skipped", template), phase)
        parent.children.append(step.id)
        return step

    def _finish(self, step: Step, phase: str, message: str = "") -> Step:
        step.message, step.finished, step.phase = message, _now(), phase
        self._changed.set()
        return step


def substituted(value: Any, scope: Values) -> Any:
    """Returns a value with `{{name}}` replaced by what the scope has; other tags stay."""
    if isinstance(value, str):
        return _TAG.sub(lambda match: scope.get(match[1].strip(), match[0]), value)
    if isinstance(value, list):
        return [substituted(item, scope) for item in value]
    if isinstance(value, dict):
        return {key: substituted(item, scope) for key, item in value.items()}
    return value


def _dependencies(task: Manifest) -> set[str]:
    terms = [term for term in task.get("depends", "").split(" && ") if term]
    assert all(term.endswith(".Succeeded") for term in terms), task["depends"]
    return {term.removesuffix(".Succeeded") for term in terms}


def _is_met(when: str) -> bool:
    if not when:
        return True
    left, operator, right = when.split(" ")
    assert operator == "!=", when
    return left != right


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
