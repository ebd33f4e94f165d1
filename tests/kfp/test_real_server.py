"""What Kubeflow Pipelines' own API server makes of the compiled pipeline, and its driver of every pod."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from conftest import CLAIM, LEARNING, ROOT, SubmittedRun
from installation import HOST, S3_SECRET, Installation
from pods import IMAGE

from components.common.errors import UserError
from pipeline.kubeflow.command_line import cli
from pipeline.kubeflow.submit import read_spec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

# Linux takes no longer argument (MAX_ARG_STRLEN); etcd takes no larger object.
_LONGEST_ARGUMENT = 128 * 1024
_LARGEST_OBJECT = 1024 * 1024


@pytest.fixture
def workflow(kubeflow: Installation, first_run: SubmittedRun) -> dict[str, Any]:
    """The Argo Workflow that the API server has made."""
    objects = kubeflow.kubernetes.objects
    [found] = [
        value
        for path, value in objects.items()
        if "/workflows/" in path and value["metadata"]["labels"]["pipeline/runid"] == first_run.id
    ]
    return found


@pytest.fixture
def pods(first_run: SubmittedRun) -> dict[str, dict[str, Any]]:
    """The specs of the pods that ran components, by component."""
    marks = {pod.spec["containers"][0]["command"][0]: pod for pod in first_run.workflow.pods}
    assert set(marks) == {"driver", "/kfp-launcher/launch"}
    found = {}
    for pod in first_run.workflow.pods:
        [container] = pod.spec["containers"]
        if "--node_id" in container["args"]:
            found[container["args"][container["args"].index("--node_id") + 1]] = pod.spec
    return found


def _tasks(workflow: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Returns the arguments of all tasks by task."""
    return {
        task["name"]: {entry["name"]: entry["value"] for entry in task["arguments"]["parameters"]}
        for template in workflow["spec"]["templates"]
        for task in template.get("dag", {}).get("tasks", [])
    }


def test_the_run_has_its_root_and_its_parameters(workflow: dict[str, Any], package: Path) -> None:
    config = json.loads(_tasks(workflow)["root-driver"]["runtime-config"])
    declared = read_spec(package)["root"]["inputDefinitions"]["parameters"]

    assert config["gcsOutputDirectory"] == ROOT
    assert set(config["parameterValues"]) == set(declared)
    assert {name: config["parameterValues"][name] for name in LEARNING} == {
        "epochs": 8,
        "learning_rate": 0.03,
        "min_accuracy": 0.6,
    }


def test_every_component_is_tried_again(workflow: dict[str, Any], package: Path) -> None:
    tasks = _tasks(workflow)
    for name in read_spec(package)["root"]["dag"]["tasks"]:
        policy = {key: value for key, value in tasks[name].items() if key.startswith("retry-")}
        assert policy == {
            "retry-max-count": "2",
            "retry-backoff-duration": "30",
            "retry-backoff-factor": "2",
            "retry-backoff-max-duration": "86400",
        }, name
    strategies = [
        template["retryStrategy"] for template in workflow["spec"]["templates"] if "retryStrategy" in template
    ]
    assert [set(strategy) for strategy in strategies] == [{"limit", "backoff"}]


def test_pods_get_what_was_asked_for(pods: dict[str, dict[str, Any]], package: Path) -> None:
    assert len(pods) == len(read_spec(package)["root"]["dag"]["tasks"])
    for node_id, pod in pods.items():
        [container] = pod["containers"]
        assert container["image"] == IMAGE
        claims = {volume["name"]: volume["persistentVolumeClaim"] for volume in pod["volumes"] if CLAIM in str(volume)}
        assert [claim["claimName"] for claim in claims.values()] == [CLAIM]
        assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}[CLAIM] == "/data"
        secrets = {
            entry["name"]: entry["valueFrom"]["secretKeyRef"]
            for entry in container["env"]
            if "AWS_" in str(entry) and "valueFrom" in entry
        }
        assert {name: (secret["name"], secret["key"]) for name, secret in secrets.items()} == {
            "AWS_ACCESS_KEY_ID": (S3_SECRET, "accesskey"),
            "AWS_SECRET_ACCESS_KEY": (S3_SECRET, "secretkey"),
        }
        is_trainer = node_id == "Trainer"
        assert pod.get("nodeSelector") == ({"accelerator": "nvidia-l4"} if is_trainer else None), node_id
    assert pods["Trainer"]["containers"][0]["resources"] == {
        "limits": {"memory": "3G", "nvidia.com/gpu": "1"},
        "requests": {"cpu": "1", "memory": "1G"},
    }
    assert pods["Pusher"]["containers"][0]["resources"] == {
        "limits": {"memory": "4G"},
        "requests": {"cpu": "500m", "memory": "2G"},
    }


def test_nothing_is_too_large_for_kubernetes(workflow: dict[str, Any], first_run: SubmittedRun) -> None:
    assert len(json.dumps(workflow)) < _LARGEST_OBJECT
    for pod in first_run.workflow.pods:
        [container] = pod.spec["containers"]
        # The launcher puts the executor input in place of {{$}}.
        words = [*container["command"], *container["args"]]
        executor_input = words[words.index("--executor_input") + 1] if "--executor_input" in words else ""
        assert max(len(word.replace("{{$}}", executor_input)) for word in words) < _LONGEST_ARGUMENT, pod.name


def test_what_is_wrong_is_said_in_one_line(kubeflow: Installation, package: Path, tmp_path: Path) -> None:
    spec, platform = yaml.safe_load_all(package.read_text())
    spec["schemaVersion"] = "2.0.0"
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump_all([spec, platform]))

    result = CliRunner().invoke(cli, ["submit", "--package", str(wrong), "--host", HOST])

    assert isinstance(result.exception, UserError), result.output
    assert len(str(result.exception).splitlines()) == 1
    assert "schema version 2.1.0" in str(result.exception)


def test_a_schedule_is_accepted_and_replaced(
    kubeflow: Installation, package: Path, first_run: SubmittedRun, compile_package: Callable[..., Path]
) -> None:
    arguments = ["schedule", "--package", str(package), "--host", HOST, "--param", "epochs=5"]
    for cron in ("30 3 * * *", "@daily"):
        result = CliRunner().invoke(cli, [*arguments, "--cron", cron])
        assert result.exit_code == 0, (result.output, result.exception)
    assert "Removed the earlier schedule" in result.output

    objects = kubeflow.kubernetes.objects
    [scheduled] = [value for path, value in objects.items() if "/scheduledworkflows/" in path]
    assert scheduled["spec"]["trigger"]["cronSchedule"]["cron"] == "@daily"
    assert scheduled["spec"]["enabled"]
    assert scheduled["spec"]["maxConcurrency"] == 1
    assert scheduled["spec"]["noCatchup"]
    assert ROOT in json.dumps(scheduled)
