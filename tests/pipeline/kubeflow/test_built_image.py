"""The container image as it was built: what is in it, and what is not.

Needs FLOWERS_IMAGE, the name of an image that Docker has: `make test-image`.
"""

import json
import os
import re
import subprocess
from typing import Any

import pytest
from locked_packages import IMAGE_LOCK, locked_packages
from packaging.utils import canonicalize_name

IMAGE = os.environ.get("FLOWERS_IMAGE", "")

pytestmark = pytest.mark.skipif(not IMAGE, reason="FLOWERS_IMAGE names no image: `make test-image` builds one")

_LARGEST_BYTES = 3_600_000_000


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def _run(command: str, *arguments: str) -> str:
    strict = ("--read-only", "--cap-drop", "ALL", "--network", "none", "--tmpfs", "/tmp:mode=1777")
    return _docker("run", "--rm", *strict, "--entrypoint", command, IMAGE, *arguments)


@pytest.fixture(scope="module")
def image() -> dict[str, Any]:
    [inspected] = json.loads(_docker("image", "inspect", IMAGE))
    return dict(inspected)


def test_it_is_no_larger_than_it_has_to_be(image: dict[str, Any]) -> None:
    assert image["Size"] < _LARGEST_BYTES


def test_it_runs_as_a_user_without_rights(image: dict[str, Any]) -> None:
    assert image["Config"]["User"] == "10001:0"
    assert _run("id", "-u").strip() == "10001"
    assert _run("python", "-c", "import os; print(os.access('/opt/flowers', os.W_OK))").strip() == "False"


def test_no_secret_is_in_its_settings(image: dict[str, Any]) -> None:
    names = {entry.partition("=")[0] for entry in image["Config"]["Env"]}
    assert not [name for name in names if re.search("KEY|TOKEN|SECRET|PASSWORD|COOKIE", name)]


def test_it_holds_the_locked_packages_and_this_project() -> None:
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    found = json.loads(_run("python", "-I", "-c", code))
    installed = {canonicalize_name(name): version for name, version in found.items()}
    assert installed.pop("flowers-pipeline")
    assert installed == locked_packages(IMAGE_LOCK)


def test_it_holds_no_tools() -> None:
    code = "import shutil, importlib.util as u; print([w for w in ('uv', 'gcc', 'git') if shutil.which(w)])"
    assert _run("python", "-c", code).strip() == "[]"
    code = "import importlib.util as u; print([n for n in ('pytest', 'ruff', 'benchmarks') if u.find_spec(n)])"
    assert _run("python", "-I", "-c", code).strip() == "[]"


def test_its_entry_point_imports_every_component() -> None:
    code = "import pipeline.graph, pipeline.kubeflow.entrypoint, tensorflow as tf; print(tf.__version__)"
    assert _run("python", "-c", code).startswith("2.21")
