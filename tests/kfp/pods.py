"""A node that runs pods: containers as processes in a file system of their own (`pod_sandbox.py`).

Of a pod's spec it honours init containers, command, arguments, environment, working directory and volumes (emptyDir and
claims). Images, resources, node selectors and security contexts are only recorded: every container sees this project's
environment and the binaries of Kubeflow Pipelines. With FLOWERS_IMAGE, components run as real containers of that image,
as a strict cluster would run them: without capabilities, as the image's user, on a root file system that is read-only.
"""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from kubernetes_api import KubernetesApi

Spec = dict[str, Any]

NAMESPACE = "kubeflow"
# Before a command: it does not outlive the test run, however that ends.
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_PROJECT = Path(__file__).resolve().parents[2]
_SANDBOX = Path(__file__).with_name("pod_sandbox.py")
_SERVICE_ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
# The image that pipelines are compiled for.
IMAGE = os.environ.get("FLOWERS_IMAGE", "registry.example.org/flowers:1")
# What the image has to write to; Kubernetes would have emptyDirs there.
_SCRATCH = ("/tmp", "/home/flowers")
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclasses.dataclass(frozen=True)
class FinishedPod:
    """A pod that has ended; `folder` has its file systems and logs."""

    name: str
    spec: Spec
    exit_code: int  # of the first container that failed, or 0
    folder: Path

    @property
    def log(self) -> str:
        """What its main container printed."""
        return (self.folder / "main.log").read_text()

    def read(self, path: str) -> str | None:
        """Returns a file of the main container, or None when there is none."""
        file = self.folder / "main" / Path(path).relative_to("/")
        return file.read_text() if file.exists() else None


@dataclasses.dataclass
class Node:
    """Where pods run, below a folder."""

    folder: Path
    binaries: Path  # Kubeflow Pipelines' own, on every container's PATH
    api: KubernetesApi
    api_address: tuple[str, int]
    hosts: dict[str, str]  # addresses by the names that pods know
    claims: dict[str, Path] = dataclasses.field(default_factory=dict)  # folders by the names of PersistentVolumeClaims

    def __post_init__(self) -> None:
        account = self.folder / "serviceaccount"
        account.mkdir(parents=True)
        (account / "namespace").write_text(NAMESPACE)
        (account / "token").write_text("token")
        shutil.copyfile(self.api.certificate, account / "ca.crt")
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.hosts.items())]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")

    def run(self, name: str, spec: Spec) -> FinishedPod:
        """Runs a pod to its end."""
        folder = self.folder / "pods" / name
        folder.mkdir(parents=True)
        uid = str(uuid.uuid4())
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            log = folder / f"{container['name']}.log"
            with log.open("w") as file:
                command = self.command(name, uid, spec, container)
                code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
            if code:
                break
        return FinishedPod(name, spec, code, folder)

    def command(self, name: str, uid: str, spec: Spec, container: Spec) -> list[str]:
        """Prepares a container and returns the command that runs it."""
        folder = self.folder / "pods" / name
        environment = {
            "KUBERNETES_SERVICE_HOST": self.api_address[0],
            "KUBERNETES_SERVICE_PORT": str(self.api_address[1]),
            **{entry["name"]: self._value(entry, name, uid) for entry in container.get("env", [])},
        }
        words = [*container["command"], *container.get("args", [])]
        words = [_VARIABLE.sub(lambda match: environment.get(match[1], match[0]), word) for word in words]
        mounts = {
            _SERVICE_ACCOUNT: str(self.folder / "serviceaccount"),
            **self._mounts(folder, spec, container),
        }
        if "FLOWERS_IMAGE" in os.environ and container.get("image") == IMAGE:
            return self._docker_command(words, environment, mounts)
        description = {
            "root": str(folder / container["name"]),
            "mounts": {"/etc/hosts": str(self.folder / "hosts"), **mounts},
            "shared": [str(_PROJECT), sys.prefix, sys.base_prefix, str(self.binaries)],
            "environment": {
                "PATH": f"{Path(sys.executable).parent}:{self.binaries}:/usr/bin:/bin",
                "HOME": "/tmp/home",
                "TFHUB_CACHE_DIR": "/tmp/home/backbones",
                "TF_CPP_MIN_LOG_LEVEL": "2",
                **environment,
            },
            "cwd": container.get("workingDir", "/tmp"),
            "command": words,
        }
        (folder / container["name"]).mkdir()
        file = folder / f"{container['name']}.json"
        file.write_text(json.dumps(description))
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        python = str(Path(sys.executable).resolve())
        return [*ENDS_WITH_US, "unshare", "--mount", *user, python, "-S", "-I", str(_SANDBOX), str(file)]

    def _docker_command(self, words: list[str], environment: dict[str, str], mounts: dict[str, str]) -> list[str]:
        for source in mounts.values():
            # Kubernetes lets every user into an emptyDir, and into a claim by its group.
            for path in (Path(source), *Path(source).rglob("*")):
                path.chmod(path.stat().st_mode | (0o777 if path.is_dir() else 0o444))
        strict = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host"]
        return [
            *("docker", "run", "--rm", "--init", *strict),
            *(word for place in _SCRATCH for word in ("--tmpfs", f"{place}:mode=1777")),
            *(word for host, address in self.hosts.items() for word in ("--add-host", f"{host}:{address}")),
            *(word for place, source in mounts.items() for word in ("--volume", f"{source}:{place}")),
            *(word for name, value in environment.items() for word in ("--env", f"{name}={value}")),
            *("--entrypoint", words[0], IMAGE, *words[1:]),
        ]

    def _value(self, entry: Spec, name: str, uid: str) -> str:
        source = entry.get("valueFrom", {})
        if "fieldRef" in source:
            return {"metadata.name": name, "metadata.uid": uid}[source["fieldRef"]["fieldPath"]]
        if "secretKeyRef" in source:
            return self.api.secret(NAMESPACE, source["secretKeyRef"]["name"], source["secretKeyRef"]["key"])
        return str(entry.get("value", ""))

    def _mounts(self, folder: Path, spec: Spec, container: Spec) -> dict[str, str]:
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        mounts = {}
        for mount in container.get("volumeMounts", []):
            volume = volumes[mount["name"]]
            if "persistentVolumeClaim" in volume:
                source = self.claims[volume["persistentVolumeClaim"]["claimName"]]
            else:
                assert "emptyDir" in volume, volume
                source = folder / "volumes" / mount["name"]
                source.mkdir(parents=True, exist_ok=True)
            mounts[mount["mountPath"]] = str(source)
        return mounts
