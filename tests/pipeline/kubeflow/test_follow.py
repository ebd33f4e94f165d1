"""Following a run line by line, with the addresses of its tasks' logs."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from fake_api_server import FakeApiServer

from pipeline.kubeflow.follow import pod_names


def _node(name: str, number: int, kind: str = "Pod", template: str = "retry-system-container-impl") -> dict[str, Any]:
    return {"id": f"flowers-x1-{number}", "name": f"flowers-x1{name}", "type": kind, "templateName": template}


def _workflow(*nodes: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "flowers-x1", "namespace": "team", "annotations": annotations},
        "status": {"nodes": {node["id"]: node for node in nodes}},
    }


@pytest.fixture
def workflow() -> dict[str, Any]:
    """What Argo has of a run: examples are read, the trainer is at its second try, the backbone is from the cache."""
    return _workflow(
        _node("", 1, "DAG", "entrypoint"),
        _node(".root.tfds-example-gen-driver", 2, template="system-container-driver"),
        _node(".root.tfds-example-gen.executor", 3, template="system-container-impl"),
        _node(".root.trainer.executor", 4, "Retry"),
        _node(".root.trainer.executor(0)", 5),
        _node(".root.trainer.executor(1)", 6),
        _node(".root.backbone-importer.executor", 7, "Skipped"),
    )


def test_the_latest_pod_of_every_task(workflow: dict[str, Any]) -> None:
    assert pod_names(workflow) == {
        "tfds-example-gen": "flowers-x1-system-container-impl-3",
        "trainer": "flowers-x1-retry-system-container-impl-6",
    }


def test_the_older_names_of_pods(workflow: dict[str, Any]) -> None:
    workflow["metadata"]["annotations"] = {"workflows.argoproj.io/pod-name-format": "v1"}
    assert pod_names(workflow)["trainer"] == "flowers-x1-6"


def test_every_change_is_a_line_with_the_log(
    server: FakeApiServer, submit: Callable[..., Result], workflow: dict[str, Any]
) -> None:
    server.workflow = workflow

    result = submit(server.url, "--watch")

    assert result.exit_code == 0, result.output
    lines = [line.split()[1:] for line in result.output.splitlines() if "tfds-example-gen" in line or "trainer" in line]
    logs = {
        task: f"{server.url}/k8s/pod/logs?podname=flowers-x1-{pod}&runid=r1&podnamespace=team"
        for task, pod in {"gen": "system-container-impl-3", "trainer": "retry-system-container-impl-6"}.items()
    }
    assert [(line[0], line[1], line[-1]) for line in lines] == [
        ("tfds-example-gen", "RUNNING", logs["gen"]),
        ("tfds-example-gen", "SUCCEEDED", logs["gen"]),
        ("trainer", "SUCCEEDED", logs["trainer"]),
    ]
    assert "Run succeeded." in result.output


def test_a_server_that_names_no_pods(server: FakeApiServer, submit: Callable[..., Result]) -> None:
    server.states = [("FAILED", "SUCCEEDED", "FAILED")]

    result = submit(server.url, "--watch")

    assert result.exit_code == 1
    assert "k8s/pod/logs" not in result.output
    assert [line.split()[1:3] for line in result.output.splitlines() if "42 s" in line] == [
        ["tfds-example-gen", "SUCCEEDED"],
        ["trainer", "FAILED"],
    ]
    assert "trainer: main container failed: exit code 1" in result.output


def test_watch_follows(server: FakeApiServer, submit: Callable[..., Result]) -> None:
    result = submit(server.url, "--watch", "--no-wait")
    assert result.exit_code == 2
    assert "exclude each other" in result.output
