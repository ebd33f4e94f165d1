"""A Flink session cluster on the loopback interface: a job manager and task managers, each a process of its own.

Made of the Flink that `make flink-jar` brings, without Beam's jars: those have to arrive with each job.
"""

import contextlib
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_OPENED = ("io", "lang", "lang.invoke", "net", "nio", "time", "util")
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_START_S = 120


@contextlib.contextmanager
def flink_cluster(libraries: Path, folder: Path, task_managers: int) -> Iterator[str]:
    """Runs a cluster with one task slot in each task manager; gives HOST:PORT of its REST interface."""
    rest_port, rpc_port = _free_port(), _free_port()
    (folder / "conf").mkdir(parents=True)
    (folder / "conf/flink-conf.yaml").write_text(
        f"""
jobmanager.rpc.address: 127.0.0.1
jobmanager.bind-host: 127.0.0.1
jobmanager.rpc.port: {rpc_port}
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest_port}
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
taskmanager.memory.task.heap.size: 256m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.managed.size: 64m
taskmanager.memory.network.min: 512m
taskmanager.memory.network.max: 512m
pekko.ask.timeout: 120 s
"""
    )
    processes = [_start(_JOB_MANAGER, libraries, folder, "job-manager")]
    try:
        for index in range(task_managers):
            processes.append(_start(_TASK_MANAGER, libraries, folder, f"task-manager-{index}"))
        _wait_for(rest_port, task_managers)
        yield f"127.0.0.1:{rest_port}"
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(timeout=60)


def jobs_of(address: str) -> list[dict[str, str]]:
    """Returns what the cluster knows of its jobs."""
    return _get(int(address.rpartition(":")[2]), "/jobs/overview")["jobs"]


def task_managers_of(address: str, job_id: str) -> set[str]:
    """Returns where the subtasks of a job ran."""
    port = int(address.rpartition(":")[2])
    vertices = _get(port, f"/jobs/{job_id}")["vertices"]
    return {
        subtask["taskmanager-id"]
        for vertex in vertices
        for subtask in _get(port, f"/jobs/{job_id}/vertices/{vertex['id']}")["subtasks"]
    }


def _start(main_class: str, libraries: Path, folder: Path, name: str) -> subprocess.Popen[bytes]:
    jars = [str(jar) for jar in libraries.glob("*.jar") if not jar.name.startswith("beam-")]
    opens = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _OPENED]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            ["java", "-Xmx1g", *opens, "-cp", ":".join(jars), main_class, "--configDir", str(folder / "conf")],
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _wait_for(port: int, task_managers: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, KeyError, ValueError, http.client.HTTPException):
            if _get(port, "/overview")["slots-total"] == task_managers:
                return
        time.sleep(0.5)
    raise TimeoutError("the Flink cluster did not start: its logs are in the folder given")


def _get(port: int, path: str) -> dict:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
