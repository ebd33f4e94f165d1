"""Tests of tab completion through real shells."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import local_runner
from pipeline.cli.completion import completion_script
from pipeline.cli.main import cli


def _complete_in_bash(words: str, cwd: Path) -> list[str]:
    """What bash offers after `words`; the last one is still being typed."""
    script = completion_script("bash", sys.executable, Path(local_runner.__file__))
    typed = words.split(" ")
    code = (
        f"{script}\nCOMP_WORDS=({' '.join(typed[:-1])} '{typed[-1]}')\nCOMP_CWORD={len(typed) - 1}\n"
        "compopt() { :; }\n_flowers_completion flowers\nprintf '%s\\n' \"${COMPREPLY[@]}\""
    )
    result = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=cwd)
    return result.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("flowers wh", {"why"}),
        ("flowers run --prese", {"--preset"}),
        ("flowers --prese", {"--preset"}),
        ("flowers --preset qui", {"quickstart"}),
        ("flowers completion z", {"zsh"}),
    ],
)
def test_bash_completes_commands_options_and_values(words: str, offered: set[str], tmp_path: Path) -> None:
    assert set(_complete_in_bash(words, tmp_path)) == offered


def test_the_command_runs_the_runner(tmp_path: Path) -> None:
    script = completion_script("bash", sys.executable, Path(local_runner.__file__))
    code = f"{script}\nflowers why --help"
    result = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Usage: local_runner.py why" in result.stdout


def test_zsh_gets_a_function_that_defines_the_command() -> None:
    script = CliRunner().invoke(cli, ["completion", "zsh"]).stdout
    assert script.startswith("flowers() {")
    assert "compdef _flowers_completion flowers" in script
    # Only for executables; the command is a function.
    assert "$+commands" not in script


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_accepts_the_script(tmp_path: Path) -> None:
    script = completion_script("zsh", sys.executable, Path(local_runner.__file__))
    code = f"autoload -Uz compinit && compinit -u -d {tmp_path}/dump\n{script}\nprint $_comps[flowers]"
    result = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "_flowers_completion"
