"""Which Python, and with it which TFX, `make` chooses: on machines made of a few scripts."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PYENV = "pyenv/versions/3.10.{}/bin/python3.10"
Choose = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def choose(tmp_path: Path) -> Choose:
    """Runs the script on a machine with a glibc and some Pythons, by the names of their commands."""

    def run(glibc: str, pythons: dict[str, str], wanted: str = "") -> "subprocess.CompletedProcess[str]":
        _program(tmp_path / "bin" / "getconf", f"echo glibc {glibc}" if glibc else "exit 1")
        _program(tmp_path / "bin" / "python3", "exit 127")
        for name, version in pythons.items():
            _program(tmp_path / name, f'echo "{version} $0"' if version else "exit 127")
        environment = {
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(tmp_path),
            "PYENV_ROOT": str(tmp_path / "pyenv"),
        }
        command = ["sh", "environment/choose_python.sh", *([wanted.format(root=tmp_path)] if wanted else [])]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("glibc", "pythons", "expected"),
    [
        ("2.41", {"bin/python3.13": "3.13", "bin/python3.10": "3.10"}, ("bin/python3.13", "1.21", "the newest")),
        ("2.39", {"bin/python3.12": "3.12", "bin/python3.13": ""}, ("bin/python3.12", "1.21", "the newest")),
        ("2.39", {"bin/python3": "3.12"}, ("bin/python3", "1.21", "the newest")),
        ("2.36", {"bin/python3.13": "3.13", "bin/python3.10": "3.10"}, ("bin/python3.10", "1.16", "has 2.36")),
        ("2.4", {"bin/python3.13": "3.13", "bin/python3.10": "3.10"}, ("bin/python3.10", "1.16", "has 2.4")),
        ("", {"bin/python3.13": "3.13", "bin/python3.10": "3.10"}, ("bin/python3.10", "1.16", "has none")),
        # Shims of pyenv that fail, and what is behind them.
        (
            "2.36",
            {"bin/python3.10": "", _PYENV.format(9): "3.10", _PYENV.format(13): "3.10"},
            (_PYENV.format(13), "1.16", "has 2.36"),
        ),
    ],
)
def test_the_newest_that_the_machine_can_install(
    choose: Choose, tmp_path: Path, glibc: str, pythons: dict[str, str], expected: tuple[str, str, str]
) -> None:
    if glibc in ("2.39", "2.41"):
        _needs_no_newer_python(pythons)
    name, tfx, reason = expected
    interpreter, requirements, line = choose(glibc, pythons).stdout.splitlines()
    assert interpreter == str(tmp_path / name)
    assert (ROOT / requirements).samefile(ROOT / "environment" / f"requirements-tfx-{tfx}.txt")
    assert f"with TFX {tfx}: " in line
    assert reason in line


def test_without_a_newer_python_the_older_stack_does(choose: Choose, tmp_path: Path) -> None:
    _needs_no_newer_python({})
    chosen = choose("2.41", {"bin/python3.10": "3.10", "bin/python3": "3.14"})
    interpreter, _, line = chosen.stdout.splitlines()
    assert interpreter == str(tmp_path / "bin/python3.10")
    assert "no Python 3.12 or 3.13 found" in line


@pytest.mark.parametrize(
    ("wanted", "tfx"), [("3.10", "1.16"), ("3.12", "1.21"), ("{root}/mine/python", "1.21"), ("python3.12", "1.21")]
)
def test_what_is_asked_for_is_taken(choose: Choose, wanted: str, tfx: str) -> None:
    pythons = {"bin/python3.10": "3.10", "bin/python3.12": "3.12", "mine/python": "3.13"}
    line = choose("2.41", pythons, wanted).stdout.splitlines()[-1]
    assert f"with TFX {tfx}: PYTHON=" in line


@pytest.mark.parametrize(
    ("glibc", "wanted", "message"),
    [
        ("2.36", "3.13", "needs glibc 2.39 (Debian 13, Ubuntu 24.04), and this machine has 2.36: use PYTHON=3.10"),
        ("2.41", "3.11", "TFX runs on 3.10, 3.12 and 3.13"),
        ("2.41", "{root}/mine/python", "is Python 3.14: TFX runs on"),
        ("2.41", "{root}/none", "is no Python 3 that starts"),
    ],
)
def test_what_cannot_be_is_one_line(choose: Choose, glibc: str, wanted: str, message: str) -> None:
    refused = choose(glibc, {"bin/python3.13": "3.13", "mine/python": "3.14"}, wanted)
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("error: PYTHON=")
    assert message in line


def _needs_no_newer_python(pythons: dict[str, str]) -> None:
    """Skips where the machine's own Python in /usr/bin would be found before those of the test."""
    found = [version for version in ("3.13", "3.12") if Path(f"/usr/bin/python{version}").exists()]
    if found and not pythons.get(f"bin/python{found[0]}"):
        pytest.skip(f"this machine has /usr/bin/python{found[0]}, which is looked at too")
