"""SIGKILL and SIGINT inside components: the next run finishes the work, and nothing of the fault remains.

Every kill costs a start of TensorFlow, so by default a few moments are tried; `make test-kill` tries them all.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killable_run import KillableRun, Moment, executing, executing_for, logged, resolving, succeeded
from ml_metadata.proto import metadata_store_pb2 as pb

from components.backbones.digest import content_digest

COMPONENTS = (
    "BackboneImporter", "TfdsExampleGen", "ImageValidator", "ImageSchemaGen", "StatisticsGen", "ExampleValidator",
    "AnomalyGate", "Transform", "FeatureExtractor", "Trainer", "Evaluator.validation", "Evaluator.test", "Pusher",
)  # fmt: skip
# Neither has an output that TFX could keep: they run every time.
NEVER_CACHED = {"AnomalyGate", "latest_blessed_model_resolver"}
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
def photos(tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes]) -> Path:
    root = tmp_path_factory.mktemp("data") / "photos"
    for label, (name, color) in enumerate(
        {"blue": (90, 90, 150), "green": (90, 140, 90), "red": (150, 90, 90)}.items()
    ):
        (root / name).mkdir(parents=True)
        for index in range(20):
            photo = encode_image(color, size=(30 + index, 50 - index), seed=100 * label + index)
            (root / name / f"{index:02d}.jpg").write_bytes(photo)
    return root


@pytest.fixture(scope="module")
def new_run(tmp_path_factory: pytest.TempPathFactory, photos: Path, tiny_backbone: Path) -> Callable[[], KillableRun]:
    return lambda: KillableRun(tmp_path_factory.mktemp("kill") / "output", photos, tiny_backbone)


@pytest.fixture(scope="module")
def undisturbed(new_run: Callable[[], KillableRun]) -> KillableRun:
    run = new_run()
    status, printed = run.finish()
    assert status == 0, printed
    return run


def assert_only_whole_versions(run: KillableRun) -> None:
    """What TF Serving would load is, byte by byte, a model that a training has exported."""
    models = {content_digest(str(model)) for model in run.models()}
    assert {content_digest(str(version)) for version in run.versions()} <= models


def assert_as_if_undisturbed(run: KillableRun, undisturbed: KillableRun) -> None:
    assert not {execution.last_known_state for execution in run.executions()} & UNFINISHED
    redone = Counter(node for node in run.completed() if node not in NEVER_CACHED)
    assert redone == Counter(set(COMPONENTS) - NEVER_CACHED)
    assert run.results() == undisturbed.results()
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
    interrupt_while_a_second_run_starts(run, executing("FeatureExtractor"))
    kill(run, logged(r"Epoch 5/12: "))
    kill(run, staging(run))
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
        first.process.send_signal(signal.SIGSTOP)
        status, printed = run.finish()
        assert status == 1
        (line,) = printed.splitlines()
        assert line.startswith(f"error: another run (process {first.process.pid}) is using {run.output}: wait")
        first.process.send_signal(signal.SIGCONT)
        first.process.send_signal(signal.SIGINT)
        status, printed = first.outcome()
    assert status == 130
    assert "interrupted: finished components are kept" in printed
    assert "Traceback" not in printed
    assert not {execution.last_known_state for execution in run.executions()} & UNFINISHED


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
