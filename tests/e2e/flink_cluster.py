"""A Flink session cluster on the loopback interface: a job manager and task managers, each a process of its own.

Made of the Flink that `make flink-jar` brings, without Beam's jars: those have to arrive with each job.
"""

import contextlib
import dataclasses
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


@dataclasses.dataclass(frozen=True)
class FlinkCluster:
    """A running cluster: its REST interface, and the processes of its task managers by their ids."""

    address: str
    task_managers: dict[str, subprocess.Popen[bytes]]

    def jobs(self) -> list[dict[str, str]]:
        """Returns what the cluster knows of its jobs, oldest first."""
        return sorted(self.get("/jobs/overview")["jobs"], key=lambda job: job["start-time"])

    def running_on(self, job_id: str, step: str, state: str) -> set[str]:
        """Returns the task managers where subtasks that hold a step of a job are in a state."""
        vertices = self.get(f"/jobs/{job_id}")["vertices"]
        return {
            subtask["taskmanager-id"]
            for vertex in vertices
            if step in vertex["name"]
            for subtask in self.get(f"/jobs/{job_id}/vertices/{vertex['id']}")["subtasks"]
            if subtask["status"] == state
        }

    def get(self, path: str) -> dict:
        """Asks the REST interface."""
        return _get(int(self.address.rpartition(":")[2]), path)


@contextlib.contextmanager
def flink_cluster(libraries: Path, folder: Path, task_managers: int, slots: int = 1) -> Iterator[FlinkCluster]:
    """Runs a cluster with so many task slots in each task manager."""
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
taskmanager.numberOfTaskSlots: {slots}
cluster.evenly-spread-out-slots: true
heartbeat.interval: 2000
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 3
restart-strategy.fixed-delay.delay: 10 s
taskmanager.cpu.cores: 1
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
taskmanager.memory.task.heap.size: 256m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.managed.size: 64m
taskmanager.memory.network.min: 1g
taskmanager.memory.network.max: 1g
pekko.ask.timeout: 120 s
"""
    )
    ids = [f"task-manager-{index}" for index in range(task_managers)]
    processes = [_start(_JOB_MANAGER, libraries, folder, "job-manager")]
    try:
        for name in ids:
            processes.append(_start(_TASK_MANAGER, libraries, folder, name, f"-Dtaskmanager.resource-id={name}"))
        _wait_for(rest_port, task_managers * slots)
        yield FlinkCluster(f"127.0.0.1:{rest_port}", dict(zip(ids, processes[1:], strict=True)))
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(timeout=60)


def _start(main_class: str, libraries: Path, folder: Path, name: str, *options: str) -> subprocess.Popen[bytes]:
    jars = [str(jar) for jar in libraries.glob("*.jar") if not jar.name.startswith("beam-")]
    opens = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _OPENED]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [
                "java",
                "-Xmx1g",
                "-XX:MaxDirectMemorySize=2g",
                *opens,
                "-cp",
                ":".join(jars),
                main_class,
                "--configDir",
                f"{folder}/conf",
                *options,
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _wait_for(port: int, slots: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, KeyError, ValueError, http.client.HTTPException):
            if _get(port, "/overview")["slots-total"] == slots:
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
