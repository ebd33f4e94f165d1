"""Uploads a compiled pipeline and starts a run of it."""

import dataclasses
import datetime
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from components.common.errors import UserError, refuse_credentials
from components.modeling.backbones.registry import find_backbone
from pipeline.kubeflow.cluster import ROOT_SCHEMES
from pipeline.kubeflow.server.api import Connection

_READERS = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "STRING": str}
Spec = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Submission:
    """What to start.

    Attributes:
        package: The compiled pipeline.
        experiment: Experiment that groups runs.
        run_name: The run's name; empty makes one of the pipeline's name and the time.
        pipeline_root: Where artifacts are written, instead of the compiled root; empty keeps it.
        parameters: Run-time parameters as the user typed them.
    """

    package: Path
    experiment: str
    run_name: str = ""
    pipeline_root: str = ""
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Uploaded:
    """A pipeline that the server has, ready to run.

    Attributes:
        client: The kfp client that uploaded it.
        pipeline: The pipeline's name.
        tasks: Its tasks' names, each after those it depends on.
        experiment_id: The experiment's id.
        run_arguments: What kfp's calls that make runs of it have in common.
    """

    client: Any
    pipeline: str
    tasks: Sequence[str]
    experiment_id: str
    run_arguments: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class StartedRun:
    """A run that the server has accepted: its id, its name and its tasks in the pipeline's order."""

    id: str
    name: str
    tasks: Sequence[str]


def start_run(connection: Connection, submission: Submission) -> StartedRun:
    """Uploads the pipeline, as a new version if the server knows it already, and starts a run.

    Args:
        connection: The server.
        submission: What to start.

    Returns:
        The run.

    Raises:
        UserError: The package or a parameter is wrong, or the server cannot be reached or refuses.
    """
    uploaded = upload(connection, submission)
    run_name = submission.run_name or f"{uploaded.pipeline} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    with connection.readable_errors():
        run = uploaded.client.run_pipeline(
            experiment_id=uploaded.experiment_id, job_name=run_name, **uploaded.run_arguments
        )
    return StartedRun(run.run_id, run_name, uploaded.tasks)


def upload(connection: Connection, submission: Submission) -> Uploaded:
    """Uploads a pipeline, as a new version if the server knows it already; arguments and errors as in `start_run`."""
    spec = read_spec(submission.package)
    parameters = parse_parameters(spec, submission.parameters)
    refuse_credentials("pipeline root", submission.pipeline_root)
    if submission.pipeline_root and not submission.pipeline_root.startswith(ROOT_SCHEMES):
        raise UserError(f"pipeline root {submission.pipeline_root!r}: give {', '.join(ROOT_SCHEMES)}...")
    name = spec["pipelineInfo"]["name"]
    client = connection.client()
    with connection.readable_errors():
        pipeline_id, version_id = _upload(client, submission.package, name)
        experiment = client.create_experiment(submission.experiment, namespace=connection.namespace or None)
    arguments = {
        "pipeline_id": pipeline_id,
        "version_id": version_id,
        "params": parameters,
        # The backend reads the run's root alone, not the spec's.
        "pipeline_root": submission.pipeline_root or spec.get("defaultPipelineRoot"),
    }
    tasks = tuple(_in_order(spec["root"]["dag"]["tasks"]))
    return Uploaded(client, name, tasks, experiment.experiment_id, arguments)


def read_spec(package: Path) -> Spec:
    """Returns the pipeline spec of a compiled pipeline.

    Args:
        package: The YAML file.

    Raises:
        UserError: It is missing, or no compiled pipeline.
    """
    try:
        spec = next(yaml.safe_load_all(package.read_text()))
        spec["pipelineInfo"], spec["root"]["dag"]["tasks"]
    except OSError as error:
        raise UserError(f"cannot read {package}: {error.strerror}; make it with kubeflow_runner.py compile") from error
    except (yaml.YAMLError, StopIteration, KeyError, TypeError) as error:
        raise UserError(f"{package} is no compiled pipeline; make it with kubeflow_runner.py compile") from error
    return dict(spec)


def parse_parameters(spec: Spec, values: Mapping[str, str]) -> dict[str, Any]:
    """Reads run-time parameters as their types say.

    Args:
        spec: The pipeline spec, which declares them.
        values: Texts by name.

    Returns:
        Values by name; with a backbone of the registry, its image size as well.

    Raises:
        UserError: A parameter is unknown, or a value is of the wrong type or holds credentials.
    """
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    parameters: dict[str, Any] = {}
    for name, text in values.items():
        if name not in declared:
            raise UserError(f"there is no run-time parameter {name!r}; there are {', '.join(sorted(declared))}")
        refuse_credentials(name, text)
        kind = declared[name]["parameterType"]
        try:
            parameters[name] = _READERS[kind](text)
        except ValueError:
            raise UserError(f"{name} is {text!r}, which is no {_READERS[kind].__name__}") from None
    known = find_backbone(parameters.get("backbone", ""))
    if known:
        parameters.setdefault("image_size", json.dumps(list(known.image_size)))
    return parameters


def _upload(client: Any, package: Path, name: str) -> tuple[str, str]:
    pipeline_id = client.get_pipeline_id(name)
    if pipeline_id:
        # The server takes no name twice, and two uploads may fall into one second.
        version_name = f"{name} {datetime.datetime.now():%Y-%m-%d %H:%M:%S.%f}"
        version = client.upload_pipeline_version(str(package), version_name, pipeline_id=pipeline_id)
        return pipeline_id, version.pipeline_version_id
    pipeline_id = client.upload_pipeline(str(package), pipeline_name=name).pipeline_id
    versions = client.list_pipeline_versions(pipeline_id, sort_by="created_at desc", page_size=1)
    return pipeline_id, versions.pipeline_versions[0].pipeline_version_id


def _in_order(tasks: Mapping[str, Spec]) -> list[str]:
    """Returns tasks such that each comes after those it depends on."""
    ordered: list[str] = []
    while len(ordered) < len(tasks):
        ready = (name for name, task in tasks.items() if set(task.get("dependentTasks", [])) <= set(ordered))
        ordered.append(next(name for name in sorted(ready) if name not in ordered))
    return ordered
