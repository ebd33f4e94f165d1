"""SIGKILL and SIGINT inside components: the next run finishes the work, and nothing of the fault remains.

Every kill costs a start of TensorFlow, so by default a few moments are tried; `make test-kill` tries them all.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killable_run import KillableRun, Moment, executing, executing_for, logged, resolving, succeeded
from ml_metadata.proto import metadata_store_pb2 as pb

from components.modeling.backbones.cache import content_digest

pytestmark = pytest.mark.slow

COMPONENTS = (
    "BackboneImporter", "TfdsExampleGen", "ImageValidator", "ImageSchemaGen", "StatisticsGen", "ExampleValidator",
    "AnomalyGate", "Transform", "FeatureExtractor", "Trainer", "Evaluator.validation", "Evaluator.test",
    "DriftDetector", "Pusher", "LabelReviewer",
)  # fmt: skip
# Neither has an output that TFX could keep: they run every time.
NEVER_CACHED = {"AnomalyGate", "latest_blessed_model_resolver"}
# A new network namespace has no interface but loopback, which has to be switched on.
LOOPBACK_UP = (
    "import fcntl, os, socket, struct, sys\n"
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 1))\n"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
OFFLINE = ("unshare", "--net", sys.executable, "-c", LOOPBACK_UP)
UNFINISHED = {pb.Execution.NEW, pb.Execution.RUNNING}
LONG = ("TfdsExampleGen", "ImageValidator", "StatisticsGen", "Transform", "FeatureExtractor", "Evaluator.test")
TEMPORARY = (
    "**/*.tmp",
    "**/*.tmp.*",
    "**/*.temp*",
    "**/beam-temp*",
    "**/incomplete.*",
    "**/*.incomplete",
    "**/.staging*",
)

all_moments = pytest.mark.skipif("FLOWERS_KILL_EVERYWHERE" not in os.environ, reason="minutes: run `make test-kill`")


@pytest.fixture(scope="module")
def new_run(
    tmp_path_factory: pytest.TempPathFactory, small_photos: Path, tiny_backbone: Path
) -> Callable[[], KillableRun]:
    def make() -> KillableRun:
        folder = tmp_path_factory.mktemp("kill")
        # A temporary folder of its own: what a kill leaves there is looked at as well.
        (folder / "temporary").mkdir()
        return KillableRun(folder / "output", small_photos, tiny_backbone, temporary=folder / "temporary")

    return make


@pytest.fixture(scope="module")
def finished(new_run: Callable[[], KillableRun]) -> tuple[KillableRun, str]:
    """A finished run and what it printed. It had no network where a process can be cut off from it."""
    run = new_run()
    status, printed = run.finish_cold(*(OFFLINE if can_go_offline() else ()))
    assert status == 0, printed
    return run, printed


@pytest.fixture(scope="module")
def undisturbed(finished: tuple[KillableRun, str]) -> KillableRun:
    return finished[0]


def can_go_offline() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*OFFLINE, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_go_offline(), reason="only root may cut a process off from the network")
def test_a_run_needs_no_network(undisturbed: KillableRun) -> None:
    """A folder of photos and a backbone in a folder: the run reaches nothing but the loopback interface."""
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    command = [*OFFLINE, sys.executable, "-c", code]
    assert "Network is unreachable" in subprocess.run(command, check=False, capture_output=True, text=True).stderr
    assert len(undisturbed.versions()) == 1


def test_a_run_in_a_pipe_says_what_it_does(finished: tuple[KillableRun, str]) -> None:
    run, printed = finished
    lines = printed.splitlines()
    assert lines[0] == "Starting ..."
    for component in COMPONENTS:
        started = next(number for number, line in enumerate(lines) if line.endswith(f"] {component} ..."))
        ended = next(number for number, line in enumerate(lines) if f"] {component}  " in line)
        assert started < ended
    assert f"Time:            {run.latest_seconds():.0f} s" in lines
    assert "/?" not in printed


def assert_only_whole_versions(run: KillableRun) -> None:
    """What TF Serving would load is, byte by byte, a model that a training has exported."""
    models = {content_digest(str(model)) for model in run.models()}
    assert {content_digest(str(version)) for version in run.versions()} <= models


def assert_as_if_undisturbed(run: KillableRun, undisturbed: KillableRun) -> None:
    assert not {execution.last_known_state for execution in run.executions()} & UNFINISHED
    redone = Counter(node for node in run.completed() if node not in NEVER_CACHED)
    assert redone == Counter(set(COMPONENTS) - NEVER_CACHED)
    assert run.results() == pytest.approx(undisturbed.results(), abs=1e-6)
    assert len(run.versions()) == 1
    assert_only_whole_versions(run)
    assert_nothing_left_over(run)


def assert_nothing_left_over(run: KillableRun) -> None:
    assert [path for pattern in TEMPORARY for path in run.output.glob(f"**/{pattern}") if path.name != ".tmp"] == []
    assert [*run.output.glob("training/*/*"), *run.output.glob(".tmp/*"), *run.temporary.iterdir()] == []
    written = {str(path) for path in run.output.glob("pipelines/*/*/[!.]*/*")}
    assert written <= run.artifact_uris()


def test_killed_and_interrupted_here_and_there(new_run: Callable[[], KillableRun], undisturbed: KillableRun) -> None:
    run = new_run()
    kill(run, executing_for("TfdsExampleGen", 0.5))
    interrupt_while_a_second_run_starts(run, logged(r"Extracting features: "))
    kill(run, logged(r"Epoch 5/12: "))
    kill(run, executing("Evaluator.test"))
    status, printed = run.finish()
    assert status == 0, printed
    assert "An earlier run was killed" in printed
    assert_as_if_undisturbed(run, undisturbed)


def kill(run: KillableRun, moment: Moment) -> None:
    status, printed = run.kill_at(moment)
    assert status == -signal.SIGKILL, printed
    assert_only_whole_versions(run)


def interrupt_while_a_second_run_starts(run: KillableRun, moment: Moment) -> None:
    with run.started() as first:
        first.wait_for(moment)
        first.send(signal.SIGSTOP)
        status, printed = run.finish()
        assert status == 1
        start, line = printed.splitlines()
        assert start == "Starting ..."
        assert line.startswith(f"error: another run (process {first.process.pid}) is using {run.output}: wait")
        first.send(signal.SIGCONT)
        first.send(signal.SIGINT)
        status, printed = first.outcome()
    assert status == 130
    assert "interrupted: finished components are kept" in printed
    assert "Traceback" not in printed
    assert not {execution.last_known_state for execution in run.executions()} & UNFINISHED
    assert run.latest_state() == "interrupted"


@all_moments
def test_killed_everywhere(new_run: Callable[[], KillableRun], undisturbed: KillableRun) -> None:
    run = new_run()
    for moment in every_moment(run):
        kill(run, moment)
    status, printed = run.finish()
    assert status == 0, printed
    assert_as_if_undisturbed(run, undisturbed)


def every_moment(run: KillableRun) -> Iterator[Moment]:
    """Yields moments in the order in which a run comes to them, each component's several before the next's."""
    for component in COMPONENTS:
        if component == "Evaluator.test":
            yield resolving("latest_blessed_model_resolver")
        yield resolving(component)
        yield executing(component)
        if component in LONG:
            yield from (executing_for(component, seconds) for seconds in (0.3, 1))
        if component == "Trainer":
            yield from (logged(rf"Epoch {epoch}/12: ") for epoch in (1, 4, 7, 12))
            yield logged("Training complete")
        if component == "Pusher":
            yield staging(run)
        yield succeeded(component)


def staging(run: KillableRun) -> Moment:
    """The moment when Pusher copies the model."""
    return lambda read_log: any(run.output.glob("serving_model/*/.staging-*"))
