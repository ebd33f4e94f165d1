"""Kubeflow Pipelines' own backend compiler on the compiled spec, where Go and KFP's source can be had.

KFP_SOURCE names a checkout of KFP's source, at any version; without it the Go module proxy is asked.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

_TOOL = Path(__file__).with_name("argo_compiler")
_MODULE = "github.com/kubeflow/pipelines"
_VERSION = "2.16.1"
_PROXY_SETTINGS = "backend/src/apiserver/config/proxy"
_GET_SECONDS = 600


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool, built."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go toolchain")
    folder = tmp_path_factory.mktemp("argo_compiler")
    given = os.environ.get("KFP_SOURCE")
    module = Path(given) if given else _module_from_the_proxy(go, folder)
    source = Path(given) if given else Path(_run([go, "list", "-m", "-f", "{{.Dir}}", _MODULE], module).stdout.strip())
    files = [_TOOL / "main.go", *([_TOOL / "proxy.go"] if (source / _PROXY_SETTINGS).is_dir() else [])]
    built = _run([go, "build", "-o", str(folder / "compiler"), *map(str, files)], module)
    assert built.returncode == 0, built.stderr
    return folder / "compiler"


def _module_from_the_proxy(go: str, folder: Path) -> Path:
    """Makes a module that requires KFP, as far as the module proxy hands it out."""
    module = folder / "module"
    module.mkdir()
    shutil.copy(_TOOL / "main.go", module)
    _run([go, "mod", "init", "kfpcompiler"], module)
    for command in (["get", f"{_MODULE}@{_VERSION}"], ["mod", "tidy"]):
        result = _run([go, *command], module)
        if result.returncode:
            reason = " ".join(result.stderr.split())
            pytest.skip(f"the Go module proxy does not hand out KFP {_VERSION}, set KFP_SOURCE: {reason[-200:]}")
    return module


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_GET_SECONDS, check=False)


@pytest.fixture(scope="module")
def workflow(compiler: Path, compiled: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The Argo Workflow that KFP makes of the reference recipe."""
    folder = tmp_path_factory.mktemp("documents")
    paths = [folder / "spec.yaml", folder / "platform.yaml"]
    for path, document in zip(paths, yaml.safe_load_all(compiled.read_text()), strict=True):
        path.write_text(yaml.safe_dump(document))
    result = _run([str(compiler), *map(str, paths)], folder)
    assert result.returncode == 0, result.stderr
    made: dict[str, Any] = yaml.safe_load(result.stdout)
    return made


def _dag_tasks(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [task for template in workflow["spec"]["templates"] for task in template.get("dag", {}).get("tasks", [])]


def test_the_backend_compiler_accepts_the_spec(workflow: dict[str, Any], compiled: Path) -> None:
    spec = next(yaml.safe_load_all(compiled.read_text()))
    assert set(spec["root"]["dag"]["tasks"]) <= {task["name"] for task in _dag_tasks(workflow)}


def test_argo_is_told_to_try_again(workflow: dict[str, Any], compiled: Path) -> None:
    """Since KFP 2.14.0 the policy arrives as parameters, whose defaults are no retry at all."""
    names = next(yaml.safe_load_all(compiled.read_text()))["root"]["dag"]["tasks"]
    given = [
        {parameter["name"]: parameter.get("value") for parameter in task["arguments"]["parameters"]}
        for task in _dag_tasks(workflow)
        if task["name"] in names
    ]
    for parameters in given:
        if "retry-max-count" not in parameters:
            pytest.skip("KFP before 2.14.0 writes the policy into templates")
        assert parameters["retry-max-count"] == "2"
        assert parameters["retry-backoff-duration"] == "30"
        assert int(parameters.get("retry-backoff-max-duration", 0)) > 0
