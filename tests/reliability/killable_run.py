"""Runs the command line as a user does, in a process of its own, and kills it where a test wants.

The moment is read off the run's log file, so that no production code knows of the tests.
"""

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import forked
import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.cli.main import main
from pipeline.records.connection import sqlite_config
from pipeline.records.store import RunStore, open_store

_ROOT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.002
_PATIENCE_SECONDS = 300.0

ReadLog = Callable[[], str]
# Told how to read the log, tells whether it has come.
Moment = Callable[[ReadLog], bool]


def logged(pattern: str) -> Moment:
    """The moment when the log matches."""
    return lambda read_log: re.search(pattern, read_log(), re.DOTALL) is not None


def resolving(node: str) -> Moment:
    """A node is about to look up its inputs."""
    return logged(rf"Running launcher for node_info \{{[^}}]*\}}\s*id: \"{re.escape(node)}\"")


def executing(node: str) -> Moment:
    """A node's executor is about to start; its output folders are there."""
    return logged(rf"\[{re.escape(node)}\] Resolved inputs.*?Going to run a new execution: ")


def executing_for(node: str, seconds: float) -> Moment:
    """A node's executor has run for so long."""
    started: list[float] = []

    def reached(read_log: ReadLog) -> bool:
        if not started and executing(node)(read_log):
            started.append(time.monotonic())
        return bool(started) and time.monotonic() - started[0] >= seconds

    return reached


def succeeded(node: str) -> Moment:
    """A node's executor is done, ML Metadata does not know it yet."""
    return logged(rf"\[{re.escape(node)}\] Resolved inputs.*?Execution \d+ succeeded")


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    """Yields the values of nested dicts and lists with the paths to them."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(f"{path}/{key}", item)
    else:
        yield path, value


@dataclasses.dataclass
class StartedRun:
    """A process, and ways to read its log and what it printed."""

    process: BaseProcess
    read_log: ReadLog
    printed: Path

    def wait_for(self, moment: Moment) -> None:
        """Waits until the run comes to a moment."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not moment(self.read_log):
            assert self.process.is_alive(), f"the run ended before: {self.printed.read_text()}"
            assert time.monotonic() < deadline, "the run never came there"
            time.sleep(_POLL_SECONDS)

    def send(self, signal_number: signal.Signals) -> None:
        os.kill(self.process.pid, signal_number)

    def outcome(self) -> tuple[int | None, str]:
        """Waits for the end; returns the exit status and what was printed."""
        self.process.join(_PATIENCE_SECONDS)
        return self.process.exitcode, self.printed.read_text()


@dataclasses.dataclass
class KillableRun:
    """One output folder and the command that writes to it."""

    output: Path
    photos: Path
    backbone: Path
    temporary: Path | None = None

    @property
    def store(self) -> Path:
        return self.output / "metadata.sqlite"

    @contextlib.contextmanager
    def started(self) -> Iterator[StartedRun]:
        """Starts the run; whatever the test does, the process is gone afterwards."""
        earlier_logs = set(self._logs())
        with tempfile.NamedTemporaryFile() as file:
            printed = Path(file.name)
            process = forked.start(main, (self._words(),), self._variables(), printed, _ROOT)
            try:
                read_log = lambda: "".join(path.read_text() for path in self._logs() - earlier_logs)  # noqa: E731
                yield StartedRun(process, read_log, printed)
            finally:
                process.kill()
                process.join()

    def finish(self) -> tuple[int | None, str]:
        """Runs to the end; returns the exit status and what was printed."""
        with self.started() as run:
            return run.outcome()

    def finish_cold(self, *prefix: str) -> tuple[int, str]:
        """The same in a new Python, below another program."""
        command = [*prefix, sys.executable, str(_ROOT / "local_runner.py"), *self._words()]
        finished = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._variables(), check=False
        )
        return finished.returncode, finished.stdout

    def kill_at(self, moment: Moment, signal_number: signal.Signals = signal.SIGKILL) -> tuple[int | None, str]:
        """Runs up to a moment and sends a signal; returns the exit status and what was printed."""
        with self.started() as run:
            run.wait_for(moment)
            run.send(signal_number)
            return run.outcome()

    def _words(self) -> list[str]:
        folders = ["--photos", str(self.photos), "--backbone", str(self.backbone), "--output", str(self.output)]
        return ["run", *folders, "--epochs", "12", "--batch-size", "8", "--min-accuracy", "0"]

    def _variables(self) -> dict[str, str]:
        return {**os.environ, "COLUMNS": "200"} | ({"TMPDIR": str(self.temporary)} if self.temporary else {})

    def _logs(self) -> set[Path]:
        return set((self.output / "logs").glob("*.log"))

    def executions(self) -> list[pb.Execution]:
        """Returns everything ML Metadata knows to have been started."""
        return mlmd.MetadataStore(sqlite_config(self.store)).get_executions()

    def completed(self) -> list[str]:
        """Returns the node of every execution that did its work, cached ones left out, in order."""
        records = [record for run in self._store().runs for record in run.executions.values()]
        return [record.node_id for record in records if record.state == "COMPLETE"]

    def artifact_uris(self) -> set[str]:
        return {artifact.uri for artifact in mlmd.MetadataStore(sqlite_config(self.store)).get_artifacts()}

    def results(self) -> dict[str, object]:
        """Returns what the latest run measured, a value per path: the training curve and both evaluations' metrics.

        Beam makes its batches by how long they take, and the last bits of a product depend on the batch: to be
        compared with a tolerance.
        """
        executions = self._store().find_run("latest").executions
        files = {
            "curve": ("Trainer", "model_run", "history.json"),
            "validation": ("Evaluator.validation", "evaluation", "metrics.json"),
            "test": ("Evaluator.test", "evaluation", "metrics.json"),
        }
        contents = {
            name: json.loads((Path(executions[node].output(key).uri) / file).read_text())
            for name, (node, key, file) in files.items()
        }
        return dict(_leaves("", contents))

    def latest_state(self) -> str:
        return self._store().find_run("latest").state

    def latest_seconds(self) -> float:
        run = self._store().find_run("latest")
        return (run.ended_ms - run.started_ms) / 1000

    def versions(self) -> list[Path]:
        """Returns the folders that TF Serving would take for a version."""
        return sorted(path for path in self.output.glob("serving_model/*/*") if path.name.isdigit())

    def models(self) -> list[Path]:
        """Returns the models that trainings have exported, the folders of killed ones included."""
        return sorted(self.output.glob("pipelines/*/Trainer/model/*/Format-Serving"))

    def _store(self) -> RunStore:
        return open_store(str(self.output))
