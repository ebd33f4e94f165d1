"""Uploads a compiled pipeline, and starts or schedules runs of it."""

import dataclasses
import datetime
import graphlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from components.common.errors import UsageError, refuse_credentials
from components.modeling.backbones.registry import find_backbone
from pipeline.kubeflow.cluster import check_pipeline_root
from pipeline.kubeflow.connection import Connection

_MAX_SCHEDULES = 100
_CRON_FIELDS = 6
_READERS = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "STRING": str}
Spec = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Submission:
    """A compiled pipeline to upload and run, with run-time parameters as the user typed them."""

    package: Path
    experiment: str
    run_name: str = ""  # Empty: the pipeline's name and the time.
    pipeline_root: str = ""  # Empty: the compiled one.
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _Uploaded:
    client: Any
    pipeline: str
    tasks: Sequence[str]  # In topological order.
    run_arguments: Mapping[str, Any]  # Of kfp's calls that start or schedule runs.


@dataclasses.dataclass(frozen=True)
class StartedRun:
    """A started run; its tasks are in topological order."""

    id: str
    name: str
    tasks: Sequence[str]


def start_run(connection: Connection, submission: Submission) -> StartedRun:
    """Uploads the pipeline and starts a run.

    A UserError says that the package or a parameter is invalid, or that the server is unreachable or refuses.
    """
    uploaded = _upload(connection, submission)
    run_name = submission.run_name or f"{uploaded.pipeline} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    with connection.readable_errors():
        run = uploaded.client.run_pipeline(job_name=run_name, **uploaded.run_arguments)
    return StartedRun(run.run_id, run_name, uploaded.tasks)


def _upload(connection: Connection, submission: Submission) -> _Uploaded:
    spec = read_spec(submission.package)
    parameters = parse_parameters(spec, submission.parameters)
    if submission.pipeline_root:
        check_pipeline_root(submission.pipeline_root)
    name = spec["pipelineInfo"]["name"]
    client = connection.client()
    with connection.readable_errors():
        pipeline_id, version_id = _upload_version(client, submission.package, name)
        experiment = client.create_experiment(submission.experiment, namespace=connection.namespace or None)
    arguments = {
        "experiment_id": experiment.experiment_id,
        "pipeline_id": pipeline_id,
        "version_id": version_id,
        "params": parameters,
        # The backend ignores the spec's root.
        "pipeline_root": submission.pipeline_root or spec.get("defaultPipelineRoot"),
    }
    dependencies = {name: task.get("dependentTasks", []) for name, task in sorted(spec["root"]["dag"]["tasks"].items())}
    tasks = tuple(graphlib.TopologicalSorter(dependencies).static_order())
    return _Uploaded(client, name, tasks, arguments)


def read_spec(package: Path) -> Spec:
    """Returns the pipeline spec in a compiled pipeline's YAML file; another file is a UserError."""
    try:
        spec = next(yaml.safe_load_all(package.read_text()))
        spec["pipelineInfo"], spec["root"]["dag"]["tasks"]
    except OSError as error:
        raise UsageError(f"cannot read {package}: {error.strerror}; make it with kubeflow_runner.py compile") from error
    except (yaml.YAMLError, StopIteration, KeyError, TypeError) as error:
        raise UsageError(f"{package} is not a compiled pipeline; make one with kubeflow_runner.py compile") from error
    return dict(spec)


def parse_parameters(spec: Spec, values: Mapping[str, str]) -> dict[str, Any]:
    """Converts run-time parameters to the types that the spec declares, and adds a registered backbone's image size.

    Unknown parameters, values of another type and credentials are UserErrors.
    """
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    parameters: dict[str, Any] = {}
    for name, text in values.items():
        if name not in declared:
            raise UsageError(f"no run-time parameter is named {name!r}; use one of {', '.join(sorted(declared))}")
        refuse_credentials(name, text)
        kind = declared[name]["parameterType"]
        try:
            parameters[name] = _READERS[kind](text)
        except ValueError:
            raise UsageError(f"{name} is {text!r}; use a value of type {_READERS[kind].__name__}") from None
    if known := find_backbone(parameters.get("backbone", "")):
        parameters.setdefault("image_size", json.dumps(list(known.image_size)))
    return parameters


def _upload_version(client: Any, package: Path, name: str) -> tuple[str, str]:
    if pipeline_id := client.get_pipeline_id(name):
        # The server takes no name twice, and two uploads may fall into one second.
        version_name = f"{name} {datetime.datetime.now():%Y-%m-%d %H:%M:%S.%f}"
        version = client.upload_pipeline_version(str(package), version_name, pipeline_id=pipeline_id)
        return pipeline_id, version.pipeline_version_id
    pipeline_id = client.upload_pipeline(str(package), pipeline_name=name).pipeline_id
    versions = client.list_pipeline_versions(pipeline_id, sort_by="created_at desc", page_size=1)
    return pipeline_id, versions.pipeline_versions[0].pipeline_version_id


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A recurring run, its cron expression with seconds first, and the ids of the recurring runs that it replaced."""

    id: str
    name: str
    cron: str
    replaced: Sequence[str]


def start_schedule(connection: Connection, submission: Submission, cron: str, name: str = "") -> Schedule:
    """Uploads the pipeline and schedules recurring runs of it, one at a time.

    Replaces recurring runs of the same name and experiment. An empty name is the pipeline's. Runs that were missed,
    because the schedule was paused or the previous run took too long, are skipped. Raises UserErrors like `start_run`.
    """
    cron = kubeflow_cron(cron)
    uploaded = _upload(connection, submission)
    name = name or uploaded.pipeline
    client = uploaded.client
    with connection.readable_errors():
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        listed = client.list_recurring_runs(
            experiment_id=uploaded.run_arguments["experiment_id"],
            page_size=_MAX_SCHEDULES,
            filter=json.dumps({"predicates": [predicate]}),
        )
        earlier = tuple(run.recurring_run_id for run in listed.recurring_runs or [])
        created = client.create_recurring_run(
            job_name=name,
            cron_expression=cron,
            max_concurrency=1,
            no_catchup=True,
            **uploaded.run_arguments,
        )
        # Last, so that a refused request changes nothing.
        for schedule_id in earlier:
            client.delete_recurring_run(schedule_id)
    return Schedule(created.recurring_run_id, name, cron, earlier)


def kubeflow_cron(text: str) -> str:
    """Converts a cron expression to Kubeflow's form, with seconds first.

    Kubeflow reads the first of the usual five fields as seconds: `0 3 * * *` would run every hour. Six fields, and
    words such as `@daily`, stay unchanged; another number of fields is a UserError.
    """
    fields = text.split()
    if text.startswith("@") or len(fields) == _CRON_FIELDS:
        return " ".join(fields)
    if len(fields) == _CRON_FIELDS - 1:
        return " ".join(("0", *fields))
    raise UsageError(
        f"--cron {text!r} has {len(fields)} fields; use five (minute, hour, day of month, month, day of week), such "
        "as '30 3 * * *', or six with seconds first"
    )
