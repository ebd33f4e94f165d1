"""Kubeflow Pipelines' own backend compiler on the compiled spec, where Go and its module proxy can be had."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

_TOOL = Path(__file__).parents[2] / "kfp_compiler" / "main.go"
_MODULE = "github.com/kubeflow/pipelines@2.4.1"
_GET_SECONDS = 600


@pytest.fixture(scope="module")
def go_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool with its dependencies, as far as the module proxy hands them out."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go toolchain")
    folder = tmp_path_factory.mktemp("kfp_compiler")
    shutil.copy(_TOOL, folder)
    subprocess.run([go, "mod", "init", "kfpcompiler"], cwd=folder, check=True, capture_output=True)
    for command in (["get", _MODULE], ["mod", "tidy"]):
        result = subprocess.run(
            [go, *command], cwd=folder, capture_output=True, text=True, timeout=_GET_SECONDS, check=False
        )
        if result.returncode:
            reason = " ".join(result.stderr.split())
            pytest.skip(f"the Go module proxy does not hand out {_MODULE}: {reason[-200:]}")
    return folder


def test_the_backend_compiler_accepts_the_spec(go_module: Path, compiled: Path, tmp_path: Path) -> None:
    spec, platform = yaml.safe_load_all(compiled.read_text())
    for name, document in {"spec.yaml": spec, "platform.yaml": platform}.items():
        (tmp_path / name).write_text(yaml.safe_dump(document))
    command = ["go", "run", ".", str(tmp_path / "spec.yaml"), str(tmp_path / "platform.yaml")]
    result = subprocess.run(command, cwd=go_module, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= len(spec["deploymentSpec"]["executors"])
