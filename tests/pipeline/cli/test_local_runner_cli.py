"""Tests of the command line as a user meets it: a process, its exit status and one line per error."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


def _run(*arguments: str, cwd: Path = _ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(_ROOT / "local_runner.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def _assert_one_error_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert "Traceback" not in output
    (line,) = (line for line in output.splitlines() if line.startswith("error: "))
    for part in parts:
        assert part in line


def test_help_needs_no_tensorflow() -> None:
    code = "import sys, pipeline.cli.main; assert 'tensorflow' not in sys.modules and 'tfx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=_ROOT)
    result = _run("--help")
    assert result.returncode == 0
    assert "run" in result.stdout


def test_run_is_the_default_command() -> None:
    assert _run("--preset", "nonsense").stderr == _run("run", "--preset", "nonsense").stderr


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--photos", "no/such/folder"], ["no/such/folder", "class-named folders"]),
        (["--epochs", "0"], ["epochs is 0", "at least 1"]),
        (["--learning-rate", "-1"], ["--learning-rate is -1.0"]),
        (["--min-accuracy", "1.5"], ["--min-accuracy is 1.5", "between 0 and 1"]),
        (["--bless", "loss<0.5"], ["loss<0.5", "METRIC>=X"]),
        (["--bless", "Acuracy>=0.5", "--backbone", "no_such_backbone"], ["Acuracy", "not a metric"]),
        (["--dataset", "tf_flower"], ["tf_flower", "tf_flowers"]),
        (["--backbone", "no_such_backbone"], ["no_such_backbone", "efficientnet_lite0"]),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], parts: list[str]) -> None:
    _assert_one_error_line(_run(*arguments, "--output", str(tmp_path / "output")), *parts)


def test_an_output_that_is_a_file_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("precious")
    result = _run("--output", str(tmp_path / "taken"))
    _assert_one_error_line(result, "--output", "choose another folder")
    assert (tmp_path / "taken").read_text() == "precious"


@pytest.mark.parametrize("arguments", [["--preset", "x"], ["--image-size", "12"], ["--epochs", "many"], ["--unknown"]])
def test_wrong_usage_has_its_own_status(arguments: list[str]) -> None:
    result = _run(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
