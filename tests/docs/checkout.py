"""A checkout in which a reader follows the documentation."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from pages import ROOT

# The set-up that make begins with has been done for the interpreter that runs this test.
_PRELUDE: Final = 'set -euo pipefail\nmake() { command make -o .venv/ready -o .uv/bin/uv "$@"; }\n'
_NOT_LINKED: Final = {"output", "build", ".git", ".venv"}


class Checkout:
    """A folder in which this project's commands work, and a home beside it."""

    def __init__(self, folder: Path, linked: bool = True):
        """Makes the two folders; unless `linked`, without the project's files."""
        self.folder = folder / "flowers pipeline"
        self.home = folder / "home"
        self.folder.mkdir()
        self.home.mkdir()
        for entry in ROOT.iterdir():
            if linked and entry.name not in _NOT_LINKED:
                (self.folder / entry.name).symlink_to(entry)
        (self.folder / ".venv").symlink_to(sys.prefix)
        self._finished: dict[str, subprocess.CompletedProcess[str]] = {}

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Runs a shell script as a reader would, with the environment activated; the same script only once."""
        if script not in self._finished:
            self._finished[script] = self._run(script)
        return self._finished[script]

    def _run(self, script: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "PATH": f"{self.folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
        }
        command = ["bash", "-c", _PRELUDE + script]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
