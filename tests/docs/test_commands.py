"""Every command of the documentation is run, or says what it needs; then its spelling is checked."""

import importlib
import subprocess

import click
import pytest
from checkout import Checkout
from pages import NEEDS, ROOT, Block, blocks

from benchmarks.measuring.subjects import Outcome

_SHELL = ("bash", "sh", "console", "shell")
_COMMAND_LINES = {"local_runner": "pipeline.cli.main", "kubeflow_runner": "pipeline.kubeflow.command_line"}


def _place(block: Block) -> str:
    return block.place


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in blocks(*_SHELL) if not block.needs], ids=_place)
def test_commands_work(block: Block, checkout: Checkout) -> None:
    finished = checkout.run(block.text)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in blocks("python") if block.place.startswith("README")], ids=_place)
def test_the_readme_s_python_works(block: Block, checkout: Checkout) -> None:
    finished = checkout.run(f"python - <<'END'\n{block.text}\nEND")
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("block", [block for block in blocks(*_SHELL) if block.needs], ids=_place)
def test_commands_that_need_more_are_spelled_right(block: Block) -> None:
    assert block.needs in NEEDS
    for runner, arguments in block.runner_arguments():
        _parse(importlib.import_module(_COMMAND_LINES[runner]).cli, runner, arguments)
    for target in block.make_targets():
        command = ["make", "--dry-run", "-o", ".venv/ready", "-o", ".uv/bin/uv", target]
        planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert planned.returncode == 0, planned.stderr


@pytest.mark.slow
def test_the_benchmark_s_run_is_measured(measured: tuple[Checkout, Outcome]) -> None:
    _, outcome = measured
    # Each photo once, and some of those of validation and test once more: as they are served.
    assert 1 < outcome.passes_per_photo < 2
    assert outcome.component_seconds["FeatureExtractor"] > 0
    assert outcome.cached == []


def _parse(group: click.Group, name: str, arguments: list[str]) -> None:
    """Parses a command line without running it; click raises for what it does not know."""
    context = group.make_context(name, list(arguments))
    command_name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    assert command is not None
    command.make_context(command_name, rest, parent=context)
