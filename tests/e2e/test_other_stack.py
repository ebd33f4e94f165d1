"""One output folder under both stacks in turn, where an environment of the other one is there too."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.common.stack import IS_NEWER

ROOT = Path(__file__).resolve().parents[2]
# The interpreter of an environment of the other stack.
OTHER_PYTHON = os.environ.get("FLOWERS_OTHER_PYTHON", "")

pytestmark = pytest.mark.skipif(not OTHER_PYTHON, reason="FLOWERS_OTHER_PYTHON names no Python of the other stack")


class Output:
    """An output folder, and the commands that read and write it."""

    def __init__(self, folder: Path, photos: Path, backbone: Path):
        self.folder = folder
        self._options = ("--photos", str(photos), "--backbone", str(backbone), "--batch-size", "8")

    def call(self, python: str, *words: str, status: int = 0) -> str:
        """Runs a command under a Python and returns what it printed."""
        command = [python, "local_runner.py", *words, "--output", str(self.folder)]
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert finished.returncode == status, finished.stdout + finished.stderr
        return finished.stdout

    def train(self, python: str, epochs: int) -> dict[str, Any]:
        """Trains, evaluates and pushes; returns what `why` says of it under the same Python."""
        bounds = ("--min-accuracy", "0.5", "--max-accuracy-drop", "1")
        self.call(python, "run", *self._options, "--epochs", str(epochs), *bounds)
        verdict: dict[str, Any] = json.loads(self.call(python, "why", "--json"))
        return verdict

    def runs(self, python: str) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self.call(python, "runs", "--json"))
        return listed

    def predict(self, python: str, photo: Path) -> dict[str, float]:
        answer = json.loads(self.call(python, "predict", str(photo), "--json"))
        return {entry["class"]: entry["probability"] for entry in answer["predictions"][0]["classes"]}


def test_the_other_python_is_of_the_other_stack() -> None:
    code = "from components.common.stack import IS_NEWER; print(IS_NEWER)"
    answer = subprocess.run([OTHER_PYTHON, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == str(not IS_NEWER)


def test_each_stack_reads_serves_and_continues_what_the_other_wrote(
    tmp_path: Path, small_photos: Path, tiny_backbone: Path
) -> None:
    output = Output(tmp_path / "output", small_photos, tiny_backbone)
    photo = small_photos / "red" / "red 00.jpg"
    pythons = [OTHER_PYTHON, sys.executable]
    # The older stack begins: what it wrote is continued by the newer, and then the other way round.
    older, newer = pythons if IS_NEWER else pythons[::-1]
    for number, (writer, reader) in enumerate([(older, newer), (newer, older), (older, newer)], start=1):
        verdict = output.train(writer, epochs=number)
        assert verdict["blessed"]
        # The baseline is the model that the other stack pushed before.
        changes = [check for check in verdict["checks"] if check["kind"] == "change"]
        assert len(changes) == (0 if number == 1 else 1)
        assert len(output.runs(writer)) == number
        assert output.runs(reader) == output.runs(writer)
        assert json.loads(output.call(reader, "why", "--json")) == verdict
        assert output.predict(reader, photo) == pytest.approx(output.predict(writer, photo), abs=1e-4)
        output.call(reader, "report")
