"""What C++ libraries and worker processes write to standard error is kept from the terminal."""

import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import os, subprocess, sys
from pathlib import Path
from pipeline.local_run.logs import divert_native_output
divert_native_output(Path(sys.argv[1]) if sys.argv[1:] else None)
os.write(2, b"from C++\\n")
subprocess.run([sys.executable, "-c", "import os; os.write(2, b'from a worker\\\\n')"], check=True)
print("for the user", file=sys.stderr)
raise SystemExit("and this")
"""


@pytest.mark.parametrize("kept", [True, False])
def test_only_python_reaches_the_terminal(tmp_path: Path, kept: bool) -> None:
    log = tmp_path / "run.log"
    log.write_text("a record\n")
    command = [sys.executable, "-c", _CODE, *([str(log)] if kept else [])]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (1, "for the user\nand this\n")
    assert log.read_text() == "a record\n" + ("from C++\nfrom a worker\n" if kept else "")


@pytest.mark.slow
def test_importing_tensorflow_prints_nothing(tmp_path: Path) -> None:
    code = "from pipeline.local_run.logs import divert_native_output; divert_native_output(None); import tensorflow"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout + finished.stderr == ""
