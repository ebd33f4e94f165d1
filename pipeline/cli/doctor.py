"""`local_runner.py doctor`: is this machine ready, and what to do if not."""

import dataclasses
import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from rich.markup import escape

from components.modeling.backbones.cache import cache_dir, hub_folder, kaggle_folder
from components.modeling.backbones.embedded import how_to_install, weights_file
from components.modeling.backbones.registry import BACKBONES, Backbone
from pipeline.cli.store_options import console, output_option, print_json, table

OK, WARNING, BROKEN = "ok", "warning", "broken"

_STYLES: Final = {OK: "green", WARNING: "yellow", BROKEN: "red"}
_DISTRIBUTION: Final = "flowers-pipeline"
_REINSTALL: Final = "rm -r .venv && make .venv/ready"
_PACKAGES: Final = (
    "tensorflow", "tf-keras", "tensorflow-hub", "kagglehub", "tensorflow-datasets",
    "tfx", "ml-metadata", "apache-beam", "kfp",
)  # fmt: skip
_OPTIONAL_PACKAGES: Final = ("kfp",)
_OTHER_BACKBONE: Final = "use --backbone efficientnet_lite0, which needs no network, or a folder"
# Both hosts of backbones redirect to the last one, where TFDS keeps prepared datasets.
_HOSTS: Final = {
    "api.kaggle.com": f"backbones, unless tfhub.dev is reachable: {_OTHER_BACKBONE}",
    "tfhub.dev": f"backbones, unless Kaggle is reachable: {_OTHER_BACKBONE}",
    "download.tensorflow.org": "the tf_flowers photos: use --photos DIR or --preset quickstart",
    "storage.googleapis.com": f"backbones: {_OTHER_BACKBONE}; TFDS's datasets: use --photos DIR or --preset quickstart",
}
_CONNECT_TIMEOUT_S: Final = 3.0
_IMPORT_TIMEOUT_S: Final = 300
_GIB: Final = 2**30
_LOW_DISK_GIB, _NO_DISK_GIB = 5, 1
_IMPORTS: Final = """
import json, components
import tensorflow as tf, tensorflow_hub, tensorflow_datasets, tf_keras, tfx.components, ml_metadata, apache_beam
print(json.dumps(tf.keras.layers.Layer is tf_keras.layers.Layer))
"""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """The result of one check."""

    check: str
    status: str  # `ok`, `warning` (something optional is missing) or `broken` (nothing will run)
    found: str
    fix: str = ""  # what to do


def examine(output: Path, with_imports: bool) -> list[Diagnosis]:
    """Runs every check; `with_imports` also imports TensorFlow and TFX in another process, for up to a minute.

    The folder `output` need not exist.
    """
    findings = _project()
    if with_imports:
        findings.append(_imports())
    findings += [_backbone(backbone) for backbone in BACKBONES.values()]
    findings += [_disk("disk of the output", output), _disk("disk of the backbones", cache_dir())]
    return findings + _network()


def _project() -> list[Diagnosis]:
    """Compares Python and the packages with what this project's own metadata ask for."""
    version = ".".join(map(str, sys.version_info[:3]))
    try:
        metadata = importlib.metadata.metadata(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return [Diagnosis("Python", OK, version), Diagnosis(_DISTRIBUTION, BROKEN, "not installed", _REINSTALL)]
    pythons = metadata["Requires-Python"]
    python = Diagnosis("Python", OK, version)
    if version not in SpecifierSet(pythons):
        python = Diagnosis("Python", BROKEN, version, f"TFX runs on {pythons}: make .venv/ready PYTHON=...")
    pins = {
        requirement.name: specifier.version
        for requirement in map(Requirement, metadata.get_all("Requires-Dist") or [])
        # Each generation of TFX has pins of its own.
        if requirement.marker is None or requirement.marker.evaluate({"extra": "kubeflow"})
        for specifier in requirement.specifier
        if specifier.operator == "=="
    }
    return [python, *(_package(name, pins.get(name)) for name in _PACKAGES)]


def _package(name: str, pinned: str | None) -> Diagnosis:
    missing = WARNING if name in _OPTIONAL_PACKAGES else BROKEN
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Diagnosis(name, missing, "not installed", _REINSTALL)
    if pinned and version != pinned:
        return Diagnosis(name, WARNING, f"{version}, tested with {pinned}", _REINSTALL)
    return Diagnosis(name, OK, version)


def _imports() -> Diagnosis:
    """Imports what a run imports: versions do not tell whether the libraries load together."""
    name = "imports and Keras mode"
    command = [sys.executable, "-c", _IMPORTS]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_IMPORT_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return Diagnosis(name, BROKEN, f"no answer within {_IMPORT_TIMEOUT_S} s", "close other programs and try again")
    if result.returncode:
        last = next(reversed(result.stderr.strip().splitlines()), f"exit status {result.returncode}")
        return Diagnosis(name, BROKEN, last, _REINSTALL)
    if json.loads(result.stdout.splitlines()[-1]):
        return Diagnosis(name, OK, "TensorFlow, TFX, Hub, MLMD and Beam load; tf.keras is Keras 2 (tf-keras)")
    value = os.environ.get("TF_USE_LEGACY_KERAS")
    return Diagnosis(name, BROKEN, f"tf.keras is Keras 3 (TF_USE_LEGACY_KERAS={value})", "unset TF_USE_LEGACY_KERAS")


def _backbone(backbone: Backbone) -> Diagnosis:
    name = f"backbone {backbone.name}"
    if backbone.embedded:
        entries = list(cache_dir().glob(f"{backbone.name}-*"))
    else:
        # kagglehub's marker says that all files are there.
        complete = kaggle_folder(f"{backbone.kaggle}.complete")
        entries = [hub_folder(backbone.handle), *([complete.with_suffix("")] if complete.exists() else [])]
    folders = [path for path in entries if path.is_dir()]
    if folders:
        return Diagnosis(name, OK, f"cached in {max(folders, key=lambda path: path.stat().st_mtime)}")
    if backbone.embedded and weights_file(backbone) is None:
        return Diagnosis(name, WARNING, f"{backbone.package} is not installed", how_to_install(backbone))
    if backbone.embedded:
        return Diagnosis(name, OK, "not built yet; the first run does, from an installed package")
    return Diagnosis(name, OK, "not cached; downloaded when it is first used")


def _disk(check: str, path: Path) -> Diagnosis:
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    fix = "choose another --output or TFHUB_CACHE_DIR"
    if not os.access(existing, os.W_OK):
        return Diagnosis(check, BROKEN, f"{existing} cannot be written to", fix)
    free = shutil.disk_usage(existing).free / _GIB
    found = f"{free:.1f} GiB free at {existing}"
    if free < _LOW_DISK_GIB:
        return Diagnosis(
            check, BROKEN if free < _NO_DISK_GIB else WARNING, found, f"free {_LOW_DISK_GIB} GiB, or {fix}"
        )
    return Diagnosis(check, OK, found)


def _network() -> list[Diagnosis]:
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    with ThreadPoolExecutor(len(_HOSTS)) as pool:
        return list(pool.map(lambda host: _host(host, _HOSTS[host], proxy), _HOSTS))


def _host(host: str, needed_for: str, proxy: str | None) -> Diagnosis:
    parts = urlsplit(proxy) if proxy else None
    address = (parts.hostname, parts.port or 80) if parts and parts.hostname else (host, 443)
    way = " through HTTPS_PROXY" if proxy else ""
    try:
        socket.create_connection(address, timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        found = f"not reachable{way} ({error.strerror or error})"
        return Diagnosis(host, WARNING, found, f"check the network or set HTTPS_PROXY; {needed_for}")
    return Diagnosis(host, OK, f"reachable{way}")


@click.command()
@output_option("Where runs would write.")
@click.option("--quick", is_flag=True, help="Look at versions only; do not import TensorFlow and TFX.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(output: str, quick: bool, as_json: bool) -> None:
    """Check versions, backbones, disk and network, and say how to fix what is wrong.

    Exit status: 1 if something is broken that every run needs.
    """
    findings = examine(Path(output).expanduser().absolute(), with_imports=not quick)
    if as_json:
        print_json(findings)
    else:
        rows = table("check", "", "found", "what to do")
        for finding in findings:
            status = f"[{_STYLES[finding.status]}]{finding.status}[/]"
            rows.add_row(finding.check, status, escape(finding.found), escape(finding.fix))
        console().print(rows)
    if any(finding.status == BROKEN for finding in findings):
        sys.exit(1)
