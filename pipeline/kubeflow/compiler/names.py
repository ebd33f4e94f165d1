"""Names that Kubernetes allows, for a pipeline whose components have TFX's.

Argo makes pods and templates out of task and component names: `Evaluator.test` and `TfdsExampleGen` pass KFP's compiler
and are refused by the cluster.
"""

import re
from typing import Any

Spec = dict[str, Any]

_MAX_LENGTH = 60


def kubernetes_name(name: str) -> str:
    """Returns a name in lower-case letters, digits and hyphens: `Evaluator.test` becomes `evaluator-test`.

    Args:
        name: A component id or pipeline name.
    """
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_MAX_LENGTH].rstrip("-")


def rename_for_kubernetes(spec: Spec) -> None:
    """Renames tasks, components and executors as KFP's own SDK does (`trainer`, `comp-trainer`, `exec-trainer`).

    Args:
        spec: The pipeline spec; changed in place.
    """
    dag = spec["root"]["dag"]
    dag["tasks"] = {kubernetes_name(task_id): _renamed(task) for task_id, task in dag["tasks"].items()}
    components = spec["components"].items()
    spec["components"] = {
        _component(name): {**component, "executorLabel": _executor(component["executorLabel"])}
        for name, component in components
    }
    deployment = spec["deploymentSpec"]
    deployment["executors"] = {_executor(label): executor for label, executor in deployment["executors"].items()}


def _component(name: str) -> str:
    return f"comp-{kubernetes_name(name)}"


def _executor(label: str) -> str:
    return f"exec-{kubernetes_name(label.removesuffix('_executor'))}"


def _renamed(task: Spec) -> Spec:
    task["taskInfo"]["name"] = kubernetes_name(task["taskInfo"]["name"])
    task["componentRef"]["name"] = _component(task["componentRef"]["name"])
    if "dependentTasks" in task:
        task["dependentTasks"] = sorted(map(kubernetes_name, task["dependentTasks"]))
    for artifact in task.get("inputs", {}).get("artifacts", {}).values():
        producer = artifact["taskOutputArtifact"]
        producer["producerTask"] = kubernetes_name(producer["producerTask"])
    for parameter in task.get("inputs", {}).get("parameters", {}).values():
        if producer := parameter.get("taskOutputParameter"):
            # TFX adds a suffix that no task's name has.
            producer["producerTask"] = kubernetes_name(producer["producerTask"].removesuffix("_task"))
    return task
