"""Kubeflow Pipelines on this machine: its own API server, driver and launcher, with what they need around them.

Real: MariaDB, an S3 server (versitygw), the store of ML Metadata. Imitated: Kubernetes, Argo Workflows and the
persistence agent (`kubernetes_api.py`, `pods.py`, `argo.py`, `workflow_controller.py`).
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kubernetes_api import KubernetesApi
from metadata_service import MetadataService
from pods import ENDS_WITH_US, NAMESPACE, Node
from workflow_controller import WorkflowController

# An address of this machine alone, on which the ports that Kubeflow Pipelines has fixed are free.
ADDRESS = "127.107.102.112"
_API_PORT, _DATABASE_PORT, _METADATA_PORT, S3_PORT, _HTTP_PORT, _GRPC_PORT = 6443, 3306, 8080, 9000, 8888, 8887
HOST = f"http://{ADDRESS}:{_HTTP_PORT}"
ACCESS_KEY, SECRET_KEY = "PLANTED-ACCESS-KEY", "planted-secret-access-key"
# As in KFP's own manifests.
BUCKET, S3_SECRET = "mlpipeline", "mlpipeline-minio-artifact"
S3_HOST = "seaweedfs.kubeflow"
REGION = "us-east-1"
_START_SECONDS = 120


class MissingPartError(Exception):
    """This machine lacks something that the installation needs."""


class Installation:
    """A running installation; `claims` are folders that pods can mount, by the names of PersistentVolumeClaims."""

    def __init__(self, binaries: Path, folder: Path, claims: dict[str, Path], cleanup: contextlib.ExitStack):
        self.folder, self._cleanup = folder, cleanup
        _check(binaries)
        self.buckets = folder / "buckets"
        self.buckets.mkdir()
        self.kubernetes = KubernetesApi(ADDRESS, _API_PORT, folder)
        cleanup.callback(self.kubernetes.stop)
        self.kubernetes.add_secret(NAMESPACE, S3_SECRET, {"accesskey": ACCESS_KEY, "secretkey": SECRET_KEY})
        self.kubernetes.put(f"/api/v1/namespaces/{NAMESPACE}/configmaps/kfp-launcher", _launcher_settings())
        self.metadata = MetadataService(folder / "metadata.sqlite", f"{ADDRESS}:{_METADATA_PORT}")
        cleanup.callback(self.metadata.stop)
        self._start_s3(binaries)
        self._start_database()
        services = ("ml-pipeline", "metadata-grpc-service")
        hosts = {f"{name}.{NAMESPACE}.svc.cluster.local": ADDRESS for name in services} | {S3_HOST: ADDRESS}
        self.node = Node(folder / "node", binaries, self.kubernetes, (ADDRESS, _API_PORT), hosts, claims)
        self._start_api_server()
        self.controller = WorkflowController(self.kubernetes, self.node, HOST)

    def _start_s3(self, binaries: Path) -> None:
        program = _program("versitygw", binaries)
        state = self.folder / "s3-state"
        state.mkdir()
        address = f"{ADDRESS}:{S3_PORT}"
        options = ["--port", address, "--access", ACCESS_KEY, "--secret", SECRET_KEY, "--region", REGION, "--quiet"]
        self._start("s3", [program, *options, "posix", "--sidecar", str(state), str(self.buckets)])
        self._wait_for("s3", S3_PORT)

    def _start_database(self) -> None:
        data = self.folder / "mariadb"
        install, server = _program("mariadb-install-db"), _program("mariadbd")
        user = ["--user=root"] if os.geteuid() == 0 else []
        quick = ["--no-defaults", f"--datadir={data}", *user]
        subprocess.run([install, *quick, "--skip-test-db"], check=True, capture_output=True)
        # In memory what a test may lose: nothing waits for the disk.
        options = ["--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--skip-grant-tables"]
        network = [f"--bind-address={ADDRESS}", f"--port={_DATABASE_PORT}", f"--socket={self.folder}/mariadb.sock"]
        self._start("mariadb", [server, *quick, *options, *network])
        self._wait_for("mariadb", _DATABASE_PORT)

    def _start_api_server(self) -> None:
        """Starts the API server as the pod of KFP's manifests."""
        config = self.folder / "config"
        config.mkdir()
        settings = {
            "DBDriverName": "mysql",
            "DBConfig": {
                "MySQLConfig": {
                    "User": "root", "Host": ADDRESS, "Port": _DATABASE_PORT,
                    "DBName": "mlpipeline", "GroupConcatMaxLen": "4194304",
                },
                "ConMaxLifeTime": "120s",
            },
            "ObjectStoreConfig": {
                "AccessKey": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "BucketName": BUCKET,
                "Host": S3_HOST, "Port": str(S3_PORT), "PipelinePath": "pipelines",
            },
            "InitConnectionTimeout": "1m", "DEFAULTPIPELINERUNNERSERVICEACCOUNT": "pipeline-runner",
        }  # fmt: skip
        (config / "config.json").write_text(json.dumps(settings))
        (config / "samples.json").write_text(json.dumps({"pipelines": []}))
        environment = {
            "POD_NAMESPACE": NAMESPACE,
            "ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_HOST": ADDRESS,
            "ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_PORT": str(_HTTP_PORT),
        }
        arguments = ["--config=/config", "--sampleconfig=/config/samples.json", "--logtostderr=true"]
        ports = [f"--rpcPortFlag=:{_GRPC_PORT}", f"--httpPortFlag={ADDRESS}:{_HTTP_PORT}"]
        container = {
            "name": "ml-pipeline-api-server",
            "command": ["apiserver", *arguments, *ports],
            "env": [{"name": name, "value": value} for name, value in environment.items()],
            "volumeMounts": [{"name": "config", "mountPath": "/config"}],
        }
        spec = {
            "containers": [container],
            "volumes": [{"name": "config", "persistentVolumeClaim": {"claimName": "config"}}],
        }
        self.node.claims["config"] = config
        (self.folder / "node" / "pods" / "ml-pipeline").mkdir(parents=True)
        self._start("apiserver", self.node.command("ml-pipeline", "uid", spec, container))
        self._wait_for("apiserver", _HTTP_PORT, "/apis/v2beta1/healthz")

    def log(self, name: str) -> str:
        """Returns what a part printed: `s3`, `mariadb` or `apiserver`."""
        return (self.folder / f"{name}.log").read_text()

    def _start(self, name: str, command: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            process = subprocess.Popen([*ENDS_WITH_US, *command], stdout=log, stderr=subprocess.STDOUT)

        def stop() -> None:
            process.kill()
            process.wait()

        self._cleanup.callback(stop)
        self._processes: dict[str, Any] = getattr(self, "_processes", {}) | {name: process}

    def _wait_for(self, name: str, port: int, path: str = "") -> None:
        for _ in range(_START_SECONDS * 10):
            with contextlib.suppress(OSError):
                if path:
                    urllib.request.urlopen(f"http://{ADDRESS}:{port}{path}", timeout=5).close()
                else:
                    socket.create_connection((ADDRESS, port), 1).close()
                return
            assert self._processes[name].poll() is None, f"{name} has ended: {self.log(name)[-2000:]}"
            time.sleep(0.1)
        raise TimeoutError(f"{name} does not answer: {self.log(name)[-2000:]}")


@contextlib.contextmanager
def running(folder: Path, claims: dict[str, Path]) -> Iterator[Installation]:
    """Runs an installation below a folder; raises MissingPartError if this machine lacks something."""
    binaries = os.environ.get("KFP_BIN")
    if not binaries:
        raise MissingPartError("KFP_BIN is not set: a folder with Kubeflow Pipelines' driver, launcher-v2, apiserver")
    if "PYTEST_XDIST_WORKER" in os.environ:
        raise MissingPartError("its ports are fixed: run these tests alone, `python -m pytest tests/kfp`")
    with contextlib.ExitStack() as cleanup:
        yield Installation(Path(binaries), folder, claims, cleanup)


def _launcher_settings() -> dict[str, Any]:
    """Returns KFP's ConfigMap `kfp-launcher`: its defaults, but with a region that versitygw accepts."""
    secret = {"secretName": S3_SECRET, "accessKeyKey": "accesskey", "secretKeyKey": "secretkey"}
    storage = {
        "endpoint": f"{S3_HOST}:{S3_PORT}",
        "region": REGION,
        "disableSSL": True,
        "credentials": {"fromEnv": False, "secretRef": secret},
    }
    return {"kind": "ConfigMap", "data": {"providers": json.dumps({"minio": {"default": storage}})}}


def _check(binaries: Path) -> None:
    for name in ("driver", "launcher-v2", "apiserver"):
        _program(name, binaries)
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    if subprocess.run(["unshare", "--mount", *user, "true"], capture_output=True, check=False).returncode:
        raise MissingPartError("pods need mount namespaces, which this user may not make (unshare --mount)")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", _GRPC_PORT))
        except OSError as error:
            raise MissingPartError(f"port {_GRPC_PORT}, which KFP's compiler has fixed, is in use here") from error


def _program(name: str, binaries: Path | None = None) -> str:
    path = f"{binaries or ''}:{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    found = shutil.which(name, path=path)
    if not found:
        raise MissingPartError(f"{name} is neither in KFP_BIN nor on PATH")
    return found
