"""Executes a compiled spec as KFP's driver and launcher do, with subprocesses for pods and a folder for the bucket.

What is imitated was read in Kubeflow Pipelines 2.17.0, `backend/src/v2/driver` and
`backend/src/v2/component/launcher_v2.go`: the pipeline root is the run's, not the spec's; input artifacts arrive
without a type, their properties as one metadata struct; the driver adds an output for the logs, which is a file by the
time that the command starts; `{{$}}` is replaced by the executor input's JSON; only files are copied in and out, so
that an empty folder is no folder any more.
"""

import concurrent.futures
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked
import pod_root

Message = dict[str, Any]
RUN_ID = "11111111-2222-3333-4444-555555555555"
DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"
LOGS_KEY = "executor-logs"
# The tree under test, which need not be the installed one.
_PROJECT = Path(__file__).parents[2]
_BUCKETS = ("minio://", "s3://", "gs://")


class TaskFailedError(Exception):
    """A container exited non-zero."""


def local_path(uri: str, pod: Path) -> Path:
    """Returns where the launcher keeps `minio://bucket/key`: at /minio/bucket/key, `pod` being the pod's /."""
    assert uri.startswith(_BUCKETS), f"the launcher does not know {uri}"
    return pod / uri.replace("://", "/", 1)


def provision_outputs(component: Message, task_root: str, pod: Path) -> Message:
    """Returns the outputs that the driver states, the logs' among them, below the URI `task_root`."""
    kinds = {key: value["artifactType"] for key, value in component["outputDefinitions"]["artifacts"].items()}
    kinds[LOGS_KEY] = {"schemaTitle": "system.Artifact"}
    # The launcher marks the logs with the attempt's number.
    uris = {key: f"{task_root}/{key}" + ("-0" if key == LOGS_KEY else "") for key in kinds}
    artifacts = {key: {"artifacts": [{"name": key, "uri": uris[key], "type": kinds[key]}]} for key in kinds}
    files = {
        key: {"outputFile": f"/tmp/kfp/outputs/{key}"} for key in component["outputDefinitions"].get("parameters", {})
    }
    output_file = str(local_path(task_root, pod) / "output_metadata.json")
    return {"artifacts": artifacts, "parameters": files, "outputFile": output_file}


def run_container(
    container: Message, executor_input: Message, pod: Path, environment: dict[str, str], *, cold: bool
) -> None:
    """Runs a container's command as the launcher does, with its output in the logs' artifact.

    `cold` starts a new Python, as Kubernetes does; otherwise the process is a fork. Raises TaskFailedError if it exits
    non-zero.
    """
    for artifact in artifacts_of(executor_input["outputs"]):
        local_path(artifact["uri"], pod).parent.mkdir(parents=True, exist_ok=True)
    for folder in ("home", "tmp"):
        (pod / folder).mkdir()
    text = json.dumps(executor_input)
    command = [part.replace("{{$}}", text) for part in (*container["command"], *container["args"])]
    assert command[:2] == ["python", "-m"]
    variables = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(_PROJECT), "HOME": str(pod / "home"), "TMPDIR": str(pod / "tmp"),
        "TFHUB_CACHE_DIR": str(pod / "backbones"),
        **{variable["name"]: variable["value"] for variable in container.get("env", [])},
        **environment,
    }  # fmt: skip
    log_path = logs_of(executor_input, pod)
    if cold:
        with log_path.open("w") as log:
            process = subprocess.run(
                [sys.executable, pod_root.__file__, str(pod), *command[1:]],
                cwd=pod,
                env=variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        status = process.returncode
    else:
        process = forked.start(pod_root.run, (str(pod), command[1:]), variables, log_path, pod)
        process.join()
        status = process.exitcode
    if status:
        raise TaskFailedError(log_path.read_text()[-4000:])


def logs_of(executor_input: Message, pod: Path) -> Path:
    """Returns the file that holds what a container printed."""
    return local_path(executor_input["outputs"]["artifacts"][LOGS_KEY]["artifacts"][0]["uri"], pod)


def artifacts_of(message: Message) -> list[Message]:
    """Returns the artifacts of an executor input's or output's half."""
    return [artifact for entry in message.get("artifacts", {}).values() for artifact in entry["artifacts"]]


@dataclasses.dataclass
class FakeKfp:
    """One run of one pipeline; `folder` holds the bucket and the pods' file systems."""

    spec: Message
    folder: Path
    pipeline_root: str = DEFAULT_ROOT  # the run's; without one the backend has its own
    parameters: Message = dataclasses.field(default_factory=dict)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    # Artifacts by task and output key; tasks that are in it at first are answered from the cache.
    outputs: dict[str, dict[str, Message]] = dataclasses.field(default_factory=dict)
    run_id: str = RUN_ID
    output_parameters: dict[str, Message] = dataclasses.field(default_factory=dict)
    cold: bool = False

    @property
    def bucket(self) -> Path:
        return self.folder / "bucket"

    def blob(self, uri: str) -> Path:
        """Returns where the bucket's folder keeps a URI."""
        scheme, _, key = uri.partition("://")
        assert scheme == "minio", uri
        return self.bucket / key

    def pod(self, task_id: str) -> Path:
        """Returns what stands for the / of a task's pod."""
        return self.folder / "pods" / self.run_id / task_id

    def put(self, task_id: str, key: str, files: dict[str, str], metadata: Message) -> None:
        """Makes an output of a task that is not run, from content by relative path."""
        uri = f"{self.pipeline_root}/{self.run_id}/{task_id}/{key}"
        for name, content in files.items():
            file = self.blob(uri) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        artifact = {"name": f"{task_id}/{key}", "uri": uri, "type": {"instanceSchema": ""}, "metadata": metadata}
        self.outputs.setdefault(task_id, {})[key] = artifact

    def run(self, workers: int = 2) -> None:
        """Runs all tasks, each as soon as those it depends on are done."""
        tasks = self.spec["root"]["dag"]["tasks"]
        defaults = self.spec["root"]["inputDefinitions"]["parameters"]
        assert set(self.parameters) <= set(defaults)
        running: dict[concurrent.futures.Future[None], str] = {}
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            while not set(tasks) <= set(self.outputs):
                for task_id, task in tasks.items():
                    ready = set(task.get("dependentTasks", [])) <= set(self.outputs)
                    if ready and task_id not in self.outputs and task_id not in running.values():
                        running[pool.submit(self._run_task, task_id)] = task_id
                done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    running.pop(future)
                    future.result()

    def _run_task(self, task_id: str) -> None:
        task = self.spec["root"]["dag"]["tasks"][task_id]
        component = self.spec["components"][task["componentRef"]["name"]]
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        pod = self.pod(task_id)
        pod.mkdir(parents=True)
        executor_input = self._executor_input(task_id, task, component, pod)
        for artifact in artifacts_of(executor_input["inputs"]):
            _copy_files(self.blob(artifact["uri"]), local_path(artifact["uri"], pod))
        try:
            run_container(container, executor_input, pod, self.environment, cold=self.cold)
        except TaskFailedError as error:
            raise TaskFailedError(f"{task_id}: {error}") from error
        self._publish(task_id, executor_input, pod)

    def _executor_input(self, task_id: str, task: Message, component: Message, pod: Path) -> Message:
        artifacts = {}
        for key, source in task["inputs"].get("artifacts", {}).items():
            producer = source["taskOutputArtifact"]
            artifacts[key] = {"artifacts": [self.outputs[producer["producerTask"]][producer["outputArtifactKey"]]]}
        task_root = f"{self.pipeline_root}/{self.spec['pipelineInfo']['name']}/{self.run_id}/{task_id}/salt-{task_id}"
        parameters = {key: self._resolve(value) for key, value in task["inputs"].get("parameters", {}).items()}
        declared = component.get("inputDefinitions", {}).get("parameters", {})
        assert set(parameters) <= set(declared), f"{task_id} is given parameters that it does not declare"
        return {
            "inputs": {"artifacts": artifacts, "parameterValues": parameters},
            "outputs": provision_outputs(component, task_root, pod),
        }

    def _resolve(self, value: Message) -> Any:
        if "runtimeValue" in value:
            return value["runtimeValue"]["constant"]
        if source := value.get("taskOutputParameter"):
            return self.output_parameters[source["producerTask"]][source["outputParameterKey"]]
        name = value["componentInputParameter"]
        return self.parameters.get(name, self.spec["root"]["inputDefinitions"]["parameters"][name]["defaultValue"])

    def _publish(self, task_id: str, executor_input: Message, pod: Path) -> None:
        """Uploads what is there and records artifacts with the metadata that the executor reported."""
        output = json.loads(Path(executor_input["outputs"]["outputFile"]).read_text())
        reported, values = output.get("artifacts", {}), output.get("parameterValues", {})
        assert values.keys() == executor_input["outputs"]["parameters"].keys()
        self.output_parameters[task_id] = values
        published = {}
        for index, artifact in enumerate(artifacts_of(executor_input["outputs"])):
            key = artifact["name"]
            result = reported.get(key, {"artifacts": [{}]})["artifacts"][0]
            uri = result.get("uri") or artifact["uri"]
            assert uri == artifact["uri"], "KFP would look for the artifact in another place"
            # 2.17.0 warns of a missing output; the branch without ML Metadata fails the task.
            assert local_path(uri, pod).exists(), f"{task_id} declares {key} and has not written it"
            _copy_files(local_path(uri, pod), self.blob(uri))
            metadata = {"display_name": key, "store_session_info": "{}", **result.get("metadata", {})}
            name = str(100 * len(self.outputs) + index)
            published[key] = {"name": name, "uri": uri, "type": {"instanceSchema": ""}, "metadata": metadata}
        self.outputs[task_id] = published


def _copy_files(source: Path, target: Path) -> None:
    """Copies a file or the files below a folder: a bucket has no folders."""
    for file in [source] if source.is_file() else source.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
