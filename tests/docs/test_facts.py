"""What the pages say about the tree and the command lines is so."""

import importlib
import re
import subprocess
from pathlib import Path

import click
import pytest
from pages import PAGES, ROOT, prose

from pipeline.cli.main import cli

_README = ROOT / "README.md"
_TREES = ("benchmarks", "components", "deploy", "docs", "pipeline", "tests")
# Options of other programs that the pages speak of.
_FOREIGN_OPTIONS = {"--model_base_path", "--recursive"}


def _name(page: Path) -> str:
    return page.name


def _code_spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def _rows(page: Path, header: str) -> list[str]:
    """Returns the first cells of the table with a header."""
    lines = page.read_text().splitlines()
    start = lines.index(header) + 2
    cells = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells.append(line.split(" | ")[0].removeprefix("|").strip())
    return cells


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if not link.startswith("http"):
            assert (page.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_files_that_are_named_are_there(page: Path) -> None:
    tests = {path.name for path in (ROOT / "tests").rglob("*.py")}
    for span in _code_spans(page):
        if re.fullmatch(rf"({'|'.join(_TREES)})/[\w./-]*", span):
            assert (ROOT / span).exists(), span
        elif re.fullmatch(r"test_\w+\.py", span):
            assert span in tests, span


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_options_that_are_named_are_there(page: Path) -> None:
    kubeflow = importlib.import_module("pipeline.kubeflow.command_line").cli
    known = {
        option
        for group in (cli, kubeflow)
        for command in group.commands.values()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if isinstance(parameter, click.Option)
    }
    named = {option for span in _code_spans(page) for option in re.findall(r"(?<!\S)--[a-z][\w-]*", span)}
    # What stands behind --beam-arg= is Beam's.
    assert named - known - _FOREIGN_OPTIONS - {"--help"} == set()


def test_the_readme_lists_every_command() -> None:
    rows = [row for row in _rows(_README, "| command | answers |") if row]
    assert sorted(row.strip("`").split()[0] for row in rows) == sorted(cli.commands)


def test_the_map_is_the_tree() -> None:
    """Every folder at the top and every shelf of pipeline/; of components/ the libraries."""
    mapped = {name for row in _rows(_README, "| folder | what |") for name in re.findall(r"`([^`]+)`", row)}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [Path(line) for line in listed.stdout.splitlines()]
    top = {f"{file.parts[0]}/" for file in files if len(file.parts) > 1 and not file.parts[0].startswith(".")}
    shelves = {f"pipeline/{file.parts[1]}/" for file in files if file.parts[0] == "pipeline" and len(file.parts) > 2}
    runners = {str(file) for file in files if len(file.parts) == 1 and file.suffix == ".py"}
    libraries = {f"components/{name}/" for name in ("common", "contracts", "modeling", "photos", "storage")}
    assert mapped == top | shelves | runners | libraries


def test_kubeflows_own_storage_is_named_as_new_and_old_releases_call_it() -> None:
    """Its service changed its name with Kubeflow Pipelines 2.16.0."""
    spans = _code_spans(ROOT / "docs" / "kubeflow.md")
    assert {"seaweedfs.kubeflow:9000", "minio-service.kubeflow:9000"} <= set(spans)
    assert "S3_ENDPOINT=http://seaweedfs.kubeflow:9000 " in (ROOT / "docs" / "kubeflow.md").read_text()
