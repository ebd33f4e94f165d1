"""Tests of the command line as a user meets it: a process, its exit status and one line per error."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.group import CommandGroup
from pipeline.cli.main import SUMMARIES, cli, main

_ROOT = Path(__file__).parents[3]


def _run(*arguments: str, cwd: Path = _ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(_ROOT / "local_runner.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def _assert_one_error_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2
    output = result.stdout + result.stderr
    assert "Traceback" not in output
    (line,) = (line for line in output.splitlines() if line.startswith("error: "))
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], ["pipeline.config", "pipeline.cli.run", "rich", "numpy", "tensorflow", "tfx"]),
        (["run", "--help"], ["pipeline.cli.runs", "rich", "http.client", "numpy", "tensorflow", "tfx"]),
        (["why", "--help"], ["pipeline.config", "ml_metadata", "numpy", "tensorflow", "tfx"]),
    ],
)
def test_help_imports_little(arguments: list[str], unneeded: list[str]) -> None:
    code = (
        "import atexit, sys\n"
        "from pipeline.cli.main import main\n"
        f"atexit.register(lambda: print([name for name in {unneeded} if name in sys.modules]))\n"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, check=True, cwd=_ROOT, capture_output=True, text=True)
    assert result.stdout.startswith("Usage: local_runner.py")
    assert result.stdout.splitlines()[-1] == "[]"


def test_summaries_are_the_first_sentences_of_the_commands_help() -> None:
    assert {name: command.get_short_help_str(200) for name, command in cli.commands.items()} == SUMMARIES
    for summary in SUMMARIES.values():
        assert summary in " ".join(CliRunner().invoke(cli, ["--help"]).output.split())


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
        (["--bless", "accuraccy>=0.5"], ["accuraccy, which is not a metric (did you mean accuracy?)"]),
        (["--num-photos", "9", "--bless", "recall[rose]>=0.5"], ["class rose", "(did you mean roses?)"]),
        (["--dataset", "tf_flower"], ["tf_flower", "tf_flowers"]),
        (["--backbone", "no_such_backbone"], ["no_such_backbone", "efficientnet_lite0"]),
        (["--backbone", "mobilnet_v2"], ["'mobilnet_v2' (did you mean mobilenet_v2?)"]),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], parts: list[str]) -> None:
    _assert_one_error_line(_run(*arguments, "--output", str(tmp_path / "output")), *parts)


def test_an_output_that_is_a_file_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("precious")
    result = _run("--output", str(tmp_path / "taken"))
    _assert_one_error_line(result, "--output", "choose another folder")
    assert (tmp_path / "taken").read_text() == "precious"


def test_too_few_photos_for_the_splits_are_refused_before_anything_starts(
    tmp_path: Path, encode_image: Callable[..., bytes]
) -> None:
    for name in ("red", "blue"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "1.jpg").write_bytes(encode_image())
    result = _run("--photos", str(tmp_path / "photos"), "--output", str(tmp_path / "output"))
    _assert_one_error_line(result, "2 photos in", "too few to split: none is left for test")
    assert "TensorFlow" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "x"], "'--preset'"),
        (["--image-size", "12"], "'12' is not a size"),
        (["--epochs", "many"], "'many'"),
        (["--unknown"], "--unknown"),
        (["--epocs", "3"], "'--epochs'"),
        (["rnu"], "No such command 'rnu'. Did you mean 'run'?"),
        (["--photos", ""], "--photos is empty: is a variable not set?"),
        (["run", "--photos="], "--photos is empty"),
        (["runs", "--output", ""], "--output is empty"),
        (["why", ""], "an argument is empty"),
        (["--bless", "recall>=0.5"], "recall[CLASS]"),
        (["why", "--output", "no/such/folder"], "no metadata store"),
    ],
)
def test_wrong_usage_has_its_own_status(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_ctrl_c_ends_any_command_with_one_line() -> None:
    @click.group(cls=CommandGroup)
    def group() -> None: ...

    @group.command()
    def wait() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background jobs ignore it.
        signal.raise_signal(signal.SIGINT)

    result = CliRunner().invoke(group, ["wait"])
    assert (result.exit_code, result.output) == (130, "interrupted\n")
