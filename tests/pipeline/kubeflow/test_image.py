"""The Dockerfile by hadolint's rules (their numbers are given), and what it copies against what is there."""

import ast
import fnmatch
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from locked_packages import BACKBONES_LOCK, IMAGE_LOCK, PROJECT_LOCK, locked_packages
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
Instruction = tuple[str, str]


@pytest.fixture(scope="module")
def instructions() -> list[Instruction]:
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def _values(instructions: list[Instruction], name: str) -> list[str]:
    return [value for key, value in instructions if key == name]


def test_base_images_have_a_version_and_can_be_pinned_by_digest(instructions: list[Instruction]) -> None:
    """DL3006, DL3007."""
    [python_image] = [value for value in _values(instructions, "ARG") if value.startswith("PYTHON_IMAGE=")]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.13(\.\d+)?-slim-\w+", python_image)
    assert [value.split()[0] for value in _values(instructions, "FROM")] == ["${PYTHON_IMAGE}"] * 2


def test_runs_as_a_numbered_user_that_is_not_root(instructions: list[Instruction]) -> None:
    """DL3002; Kubernetes' runAsNonRoot needs a number."""
    user = _values(instructions, "USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:\d+", user)
    after = instructions[max(index for index, (name, _) in enumerate(instructions) if name == "USER") :]
    assert "RUN" not in [name for name, _ in after]


def test_no_build_tools_in_the_last_stage(instructions: list[Instruction]) -> None:
    last = instructions[max(index for index, (name, _) in enumerate(instructions) if name == "FROM") :]
    commands = " ".join(_values(last, "RUN"))
    assert not re.search(r"\b(pip3?|uv|apt-get|apt|curl|wget|gcc|make) ", commands)
    assert "rm -rf /usr/local/lib/python3.13/site-packages/* /usr/local/bin/pip*" in commands
    assert [value for value in _values(last, "COPY") if not value.startswith("--from=build")] == []


def test_packages_are_pinned_and_not_cached(instructions: list[Instruction]) -> None:
    """DL3013, DL3042, and hashes for all but the project itself."""
    commands = " ".join(_values(instructions, "RUN"))
    assert re.findall(r"pip install --no-cache-dir (\S+)", commands) == ["uv==${UV_VERSION}"]
    assert "uv pip sync --require-hashes" in commands
    assert "UV_NO_CACHE=1" in " ".join(_values(instructions, "ENV"))


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        ("DL3000 absolute WORKDIR", r"^WORKDIR (?!/)"),
        ("DL3003 WORKDIR instead of cd", r"^RUN .*\bcd "),
        ("DL3004 no sudo", r"\bsudo\b"),
        ("DL3020 COPY instead of ADD", r"^ADD "),
        ("DL3025 JSON form", r"^(ENTRYPOINT|CMD) (?!\[)"),
        ("DL4000 no MAINTAINER", r"^MAINTAINER "),
        ("DL4006 no pipe without pipefail", r"^RUN [^|]*[^|]\|[^|]"),
    ],
)
def test_rules(instructions: list[Instruction], rule: str, pattern: str) -> None:
    broken = [f"{name} {value}" for name, value in instructions if re.search(pattern, f"{name} {value}")]
    assert broken == [], rule


def test_the_environment_chooses_keras_2_before_tfx_imports_tensorflow(instructions: list[Instruction]) -> None:
    assert "TF_USE_LEGACY_KERAS=1" in _values(instructions, "ENV")[-1]


def test_what_is_copied_exists_and_is_not_ignored(instructions: list[Instruction]) -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    admitted = [line.removeprefix("!") for line in lines if line.startswith("!")]
    sources = [
        source for value in _values(instructions, "COPY") if "--from" not in value for source in value.split()[:-1]
    ]
    assert lines[0] == "*"
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in admitted), source


def test_the_images_lock_is_a_part_of_the_projects_lock() -> None:
    image, project = locked_packages(IMAGE_LOCK), locked_packages(PROJECT_LOCK) | locked_packages(BACKBONES_LOCK)
    assert image.items() <= project.items()
    assert {"tfx", "kfp", "obstore"} <= image.keys()
    assert not {"pytest", "ruff", "mypy", "moto"} & image.keys()


def test_the_image_has_what_the_code_imports() -> None:
    """The development environment has more: what extras and tools bring."""
    modules = (path for tree in ("components", "pipeline") for path in (ROOT / tree).rglob("*.py"))
    imported = {name.partition(".")[0] for path in modules for name in _imports(path)}
    # Imported by tensorflow-datasets, which does not say so.
    imported |= {"importlib_resources"}
    # Only for AWS profiles that need it; without it a message says so.
    imported -= {"botocore"}
    locked = locked_packages(IMAGE_LOCK).keys()
    # Their distributions list no packages, and Python 3.10 looks no further.
    unlisted = {"pillow_jxl": ["pillow-jxl-plugin"], "sklearn": ["scikit-learn"]}
    offered_by = unlisted | importlib.metadata.packages_distributions()
    for name in imported - sys.stdlib_module_names - {"components", "pipeline"}:
        assert {canonicalize_name(offer) for offer in offered_by.get(name, [name])} & locked, name


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
