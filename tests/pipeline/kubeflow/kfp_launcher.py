"""Executes a compiled spec as KFP's driver and launcher do, with subprocesses for pods and a folder for the bucket.

What is imitated was read in Kubeflow Pipelines' `backend/src/v2/driver` and `backend/src/v2/component/launcher_v2.go`:
input artifacts without a type, properties as one metadata struct, `{{$}}` replaced by the executor input's JSON, inputs
copied in and outputs copied out.
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

Message = dict[str, Any]
RUN_ID = "11111111-2222-3333-4444-555555555555"


class TaskFailedError(Exception):
    """A container exited non-zero."""


@dataclasses.dataclass
class FakeKfp:
    """One run of one pipeline.

    Attributes:
        spec: The pipeline spec, as compiled.
        folder: Where the bucket and the pods' file systems are.
        parameters: Run-time parameters; the others have the spec's defaults.
        outputs: Artifacts by task and output key, as the cluster's metadata would keep them.
    """

    spec: Message
    folder: Path
    parameters: Message = dataclasses.field(default_factory=dict)
    outputs: dict[str, dict[str, Message]] = dataclasses.field(default_factory=dict)

    @property
    def bucket(self) -> Path:
        return self.folder / "bucket"

    def blob(self, uri: str) -> Path:
        """Returns where the bucket's folder keeps a URI."""
        scheme, _, key = uri.partition("://")
        assert scheme == "minio", uri
        return self.bucket / key

    def run(self, workers: int = 2) -> None:
        """Runs all tasks, each as soon as those it depends on are done."""
        tasks = self.spec["root"]["dag"]["tasks"]
        defaults = self.spec["root"]["inputDefinitions"]["parameters"]
        assert set(self.parameters) <= set(defaults)
        running: dict[concurrent.futures.Future[None], str] = {}
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            while len(self.outputs) < len(tasks):
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
        pod = self.folder / "pods" / task_id
        pod.mkdir(parents=True)
        executor_input = self._executor_input(task_id, task, component, pod)
        for artifact in _artifacts(executor_input["inputs"]):
            shutil.copytree(self.blob(artifact["uri"]), artifact["customPath"])
        text = json.dumps(executor_input)
        command = [part.replace("{{$}}", text) for part in (*container["command"], *container["args"])]
        assert command[0] == "python"
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(pod / "home"), "TMPDIR": str(pod / "tmp"),
            "TFHUB_CACHE_DIR": str(pod / "backbones"),
        }  # fmt: skip
        (pod / "tmp").mkdir()
        with (pod / "log.txt").open("w") as log:
            process = subprocess.run(
                [sys.executable, *command[1:]],
                cwd=pod,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if process.returncode:
            raise TaskFailedError(f"{task_id}: {(pod / 'log.txt').read_text()[-4000:]}")
        self._publish(task_id, executor_input)

    def _executor_input(self, task_id: str, task: Message, component: Message, pod: Path) -> Message:
        artifacts = {}
        for key, source in task["inputs"].get("artifacts", {}).items():
            producer = source["taskOutputArtifact"]
            artifact = dict(self.outputs[producer["producerTask"]][producer["outputArtifactKey"]])
            artifact["customPath"] = str(pod / "inputs" / key)
            artifacts[key] = {"artifacts": [artifact]}
        root = f"{self.spec['defaultPipelineRoot']}/{self.spec['pipelineInfo']['name']}/{RUN_ID}"
        outputs = {
            key: {
                "artifacts": [
                    {
                        "name": key,
                        "type": definition["artifactType"],
                        "uri": f"{root}/{task_id}/salt-{task_id}/{key}",
                        "customPath": str(pod / "outputs" / key),
                    }
                ]
            }
            for key, definition in component["outputDefinitions"]["artifacts"].items()
        }
        (pod / "outputs").mkdir()
        parameters = {key: self._resolve(value) for key, value in task["inputs"].get("parameters", {}).items()}
        declared = component.get("inputDefinitions", {}).get("parameters", {})
        assert set(parameters) <= set(declared), f"{task_id} is given parameters that it does not declare"
        return {
            "inputs": {"artifacts": artifacts, "parameterValues": parameters},
            "outputs": {"artifacts": outputs, "outputFile": str(pod / "outputs" / "output_metadata.json")},
        }

    def _resolve(self, value: Message) -> Any:
        if "runtimeValue" in value:
            return value["runtimeValue"]["constant"]
        name = value["componentInputParameter"]
        return self.parameters.get(name, self.spec["root"]["inputDefinitions"]["parameters"][name]["defaultValue"])

    def _publish(self, task_id: str, executor_input: Message) -> None:
        """Uploads what is there and records artifacts with the metadata that the executor reported."""
        reported = json.loads(Path(executor_input["outputs"]["outputFile"]).read_text()).get("artifacts", {})
        published = {}
        for index, artifact in enumerate(_artifacts(executor_input["outputs"])):
            key = artifact["name"]
            result = reported.get(key, {"artifacts": [{}]})["artifacts"][0]
            uri = result.get("uri") or artifact["uri"]
            assert uri == artifact["uri"], "KFP would look for the artifact in another place"
            if Path(artifact["customPath"]).exists():
                shutil.copytree(artifact["customPath"], self.blob(uri))
            metadata = {"display_name": key, "store_session_info": "{}", **result.get("metadata", {})}
            name = str(100 * len(self.outputs) + index)
            published[key] = {"name": name, "uri": uri, "type": {"instanceSchema": ""}, "metadata": metadata}
        self.outputs[task_id] = published


def _artifacts(message: Message) -> list[Message]:
    return [artifact for entry in message.get("artifacts", {}).values() for artifact in entry["artifacts"]]
