"""What Beam's Flink runner needs: Java, the job server, the cluster, and worker processes."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from components.common.errors import UserError
from components.common.text import counted

EMBEDDED: Final = "[local]"

_HERE: Final = Path(__file__).parent
_JOB_SERVER: Final = _HERE.parents[1] / "build" / "flink" / "job-server.jar"
_TIMEOUT_S: Final = 10


def job_server_args(given: Mapping[str, str]) -> list[str]:
    """Returns the options of the Java process that translates Beam pipelines to Flink jobs, which must be there."""
    java = given.get("job_server_java_launcher", "java")
    if not shutil.which(java):
        raise UserError(f"Flink needs Java 17, and {java!r} cannot be found: install it (Debian: openjdk-17-jre)")
    jar = given.get("flink_job_server_jar", str(_JOB_SERVER))
    if "://" not in jar and not Path(jar).is_file():
        raise UserError(
            f"Flink's job server is not at {jar}: get it with `make flink-jar`, or name one with "
            "--beam-arg=--flink_job_server_jar=PATH"
        )
    return [
        f"--flink_job_server_jar={jar}",
        # Thousands of lines at INFO for each component.
        "--job_server_jvm_properties=-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    ]


def check_cluster(master: str, parallelism: int) -> None:
    """Raises UserError if a Flink cluster lacks task slots; Flink itself would wait for minutes before it fails.

    `master` is the host and port of the REST interface, with or without `http://`.
    """
    slots = _slots(master)
    if slots < parallelism:
        raise UserError(
            f"the Flink cluster at {master} has {counted(slots, 'task slot')} for {counted(parallelism, 'worker')}: "
            "start more task managers or lower --beam-workers"
        )


def _slots(master: str) -> int:
    import http.client

    url = urlsplit(master if "://" in master else f"http://{master}")
    connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    try:
        connection = connect(url.hostname or "", url.port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", "/overview")
            return int(json.loads(connection.getresponse().read())["slots-total"])
        finally:
            connection.close()
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UserError(
            f"no Flink cluster answers at {master} ({reason}): start it, or name another with "
            "--beam-arg=--flink_master=HOST:PORT"
        ) from error


def worker_process_args() -> list[str]:
    """Returns options by which task managers start workers in this Python environment.

    All machines must have this environment and the output at the same paths; otherwise use
    `--environment_type=DOCKER` or `EXTERNAL`.
    """
    environment = {"command": str(_HERE / "worker.sh"), "env": {"WORKER_PYTHON": sys.executable}}
    return [
        "--environment_type=PROCESS",
        f"--environment_config={json.dumps(environment)}",
        # Keeps workers between the stages of a job: each would import TensorFlow again.
        "--environment_cache_millis=60000",
    ]
