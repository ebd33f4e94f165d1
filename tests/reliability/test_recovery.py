"""What the start of a run makes of what killed runs left, case by case."""

import dataclasses
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as pb
from pipeline_configs import make_config

from components.common.errors import UserError
from components.contracts.output_folder import OUTPUT_CONTEXT_TYPE
from pipeline.config import PipelineConfig
from pipeline.local_run.recovery import ABANDONED_TRAINING_S, record_files, recovering
from pipeline.local_run.workspace import locked_output, temporary_folder
from pipeline.records.connection import sqlite_config


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    return make_config(output=str(tmp_path / "output"))


def execute(config: PipelineConfig, state: pb.Execution.State, store: str = "metadata.sqlite") -> tuple[int, Path]:
    """Records an execution of the Trainer in that state, and returns its id and its output."""
    number = record(config.output, state, Path(config.output) / store)
    node = Path(config.pipeline_root) / "Trainer"
    for folder in (f"model/{number}", f".system/executor_execution/{number}/.temp", ".system/stateful_working_dir/x"):
        (node / folder).mkdir(parents=True)
        (node / folder / "file").write_text("content")
    return number, node / "model" / str(number)


def record(output: str, state: pb.Execution.State, store: Path) -> int:
    """Records an execution of a run on an output folder, and returns its id."""
    metadata = mlmd.MetadataStore(sqlite_config(store))
    type_id = metadata.put_execution_type(pb.ExecutionType(name="Trainer"))
    context_type = metadata.put_context_type(pb.ContextType(name=OUTPUT_CONTEXT_TYPE))
    context = metadata.get_context_by_type_and_name(OUTPUT_CONTEXT_TYPE, output)
    context = context or pb.Context(type_id=context_type, name=output)
    number, _, _ = metadata.put_execution(pb.Execution(type_id=type_id, last_known_state=state), [], [context])
    return int(number)


def state_of(config: PipelineConfig, number: int, store: str = "metadata.sqlite") -> int:
    metadata = mlmd.MetadataStore(sqlite_config(Path(config.output) / store))
    return metadata.get_executions_by_id([number])[0].last_known_state


@pytest.mark.parametrize(
    ("state", "afterwards", "kept"),
    [
        (pb.Execution.COMPLETE, pb.Execution.COMPLETE, True),
        (pb.Execution.CACHED, pb.Execution.CACHED, True),
        (pb.Execution.RUNNING, pb.Execution.CANCELED, False),
        (pb.Execution.NEW, pb.Execution.CANCELED, False),
        (pb.Execution.FAILED, pb.Execution.FAILED, False),
    ],
)
def test_only_the_output_of_success_is_kept(config: PipelineConfig, state: int, afterwards: int, kept: bool) -> None:
    number, output = execute(config, state)
    with recovering(config):
        assert state_of(config, number) == afterwards
        assert output.exists() == kept
        assert not (output.parents[1] / ".system").exists()


def test_in_a_shared_store_other_outputs_are_left_alone(config: PipelineConfig) -> None:
    config = dataclasses.replace(config, metadata=f"sqlite:{config.output}/shared.sqlite")
    own, _ = execute(config, pb.Execution.RUNNING, "shared.sqlite")
    other = record(f"{config.output}/elsewhere", pb.Execution.RUNNING, Path(config.output) / "shared.sqlite")
    with recovering(config):
        assert state_of(config, own, "shared.sqlite") == pb.Execution.CANCELED
        assert state_of(config, other, "shared.sqlite") == pb.Execution.RUNNING


def test_another_store_deletes_nothing_and_is_refused(config: PipelineConfig) -> None:
    """The ids in that store are other executions': what failed there has succeeded here."""
    good, output = execute(config, pb.Execution.COMPLETE)
    shared = Path(config.output).parent / "shared.sqlite"
    foreign = record("/another/output", pb.Execution.FAILED, shared)
    running = record("/another/output", pb.Execution.RUNNING, shared)
    assert foreign == good
    config = dataclasses.replace(config, metadata=f"sqlite:{shared}")
    with pytest.raises(UserError, match="does not know: choose another --output"), recovering(config):
        pass
    assert output.exists()
    assert state_of(config, running, "../shared.sqlite") == pb.Execution.RUNNING


def test_what_the_store_does_not_call_this_outputs_is_kept(config: PipelineConfig) -> None:
    """A copied output folder: its store speaks of the original's folder."""
    number, output = execute(config, pb.Execution.FAILED)
    copy = Path(config.output).with_name("copy")
    shutil.copytree(config.output, copy)
    copied = dataclasses.replace(config, output=str(copy))
    with recovering(copied):
        assert (copy / output.relative_to(config.output)).exists()
    assert state_of(copied, number) == pb.Execution.FAILED


def test_a_lost_store_is_refused_and_stays_lost(config: PipelineConfig) -> None:
    execute(config, pb.Execution.COMPLETE)
    store = Path(config.output) / "metadata.sqlite"
    store.unlink()
    for _ in range(2):
        with pytest.raises(UserError, match="does not know: choose another --output"), recovering(config):
            pass
        assert not store.exists()
    store.touch()
    for _ in range(2):  # The first attempt makes tables in it.
        with pytest.raises(UserError, match="does not know: choose another --output"), recovering(config):
            pass


@pytest.fixture
def pushed(config: PipelineConfig) -> Path:
    """The folder of a recorded artifact that was pushed to the version `pushed/170` beside it."""
    number, folder = execute(config, pb.Execution.COMPLETE)
    version = folder / "pushed" / "170"
    (version / "variables").mkdir(parents=True)
    (version / "variables" / "variables.data").write_bytes(b"weights")
    metadata = mlmd.MetadataStore(sqlite_config(Path(config.output) / "metadata.sqlite"))
    type_id = metadata.put_artifact_type(pb.ArtifactType(name="PushedModel"))
    artifact = pb.Artifact(type_id=type_id, uri=str(folder / "artifact"), state=pb.Artifact.LIVE)
    artifact.custom_properties["pushed_destination"].string_value = str(version)
    Path(artifact.uri).mkdir()
    event = pb.Event(type=pb.Event.OUTPUT)
    context = metadata.get_context_by_type_and_name(OUTPUT_CONTEXT_TYPE, config.output)
    execution = metadata.get_executions_by_id([number])[0]
    metadata.put_execution(execution, [(artifact, event)], [context])
    record_files(metadata, number, config.output)
    return version


def overwrite(version: Path) -> None:
    (version / "variables" / "variables.data").write_bytes(b"Weights")


def copy_in_place(version: Path) -> None:
    copy = version.with_name("copy")
    shutil.copytree(version, copy, copy_function=shutil.copyfile)
    shutil.rmtree(version)
    copy.rename(version)


def add_warm_up(version: Path) -> None:
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda _: None, pb.Artifact.LIVE),
        (overwrite, pb.Artifact.DELETED),
        (lambda version: (version / "more").touch(), pb.Artifact.DELETED),
        (shutil.rmtree, pb.Artifact.DELETED),
        (copy_in_place, pb.Artifact.LIVE),
        (add_warm_up, pb.Artifact.LIVE),
    ],
)
def test_an_artifact_whose_content_changed_is_not_used(
    config: PipelineConfig, pushed: Path, change: Callable[[Path], object], state: int
) -> None:
    change(pushed)
    for _ in range(2):
        with recovering(config):
            pass
        metadata = mlmd.MetadataStore(sqlite_config(Path(config.output) / "metadata.sqlite"))
        (artifact,) = metadata.get_artifacts()
        assert artifact.state == state


def test_an_interrupted_run_is_recorded_as_such_at_once(config: PipelineConfig) -> None:
    with pytest.raises(KeyboardInterrupt), recovering(config):
        number, _ = execute(config, pb.Execution.RUNNING)
        raise KeyboardInterrupt
    assert state_of(config, number) == pb.Execution.CANCELED


@pytest.mark.parametrize(
    ("message", "state"),
    [
        ("KeyboardInterrupt [while running 'ExtractFeatures']", pb.Execution.CANCELED),
        ("ValueError: bad [while running 'ExtractFeatures']", pb.Execution.FAILED),
    ],
)
def test_an_interrupt_inside_beam_is_no_failure(config: PipelineConfig, message: str, state: int) -> None:
    """TFX records what Beam makes of the interrupt as a failure of the execution."""
    earlier, _ = execute(config, pb.Execution.FAILED)
    with pytest.raises(RuntimeError), recovering(config):
        number, _ = execute(config, pb.Execution.FAILED)
        raise RuntimeError(message)
    assert (state_of(config, earlier), state_of(config, number)) == (pb.Execution.FAILED, state)


def test_half_pushes_and_forgotten_trainings_are_removed(config: PipelineConfig) -> None:
    versions = Path(config.serving_model_dir)
    recent, forgotten, finished = (
        Path(config.training_work_root) / name for name in ("recent", "forgotten", "done.finished")
    )
    for folder in (versions / "170" / "variables", versions / ".staging-0" / "171", recent, forgotten, finished):
        folder.mkdir(parents=True)
    long_ago = time.time() - ABANDONED_TRAINING_S - 60
    os.utime(forgotten, (long_ago, long_ago))
    with recovering(config):
        assert [path.name for path in versions.iterdir()] == ["170"]
        assert list(Path(config.training_work_root).iterdir()) == [recent]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        locked_output(str(tmp_path)),
        pytest.raises(UserError, match=rf"another run \(process {os.getpid()}\) is using .*choose another --output"),
        locked_output(str(tmp_path)),
    ):
        pass
    with locked_output(str(tmp_path)):
        pass


def test_temporary_files_stay_in_the_output(tmp_path: Path) -> None:
    import tempfile

    left = tmp_path / ".tmp" / "of a killed run"
    left.mkdir(parents=True)
    before = tempfile.gettempdir(), os.environ.get("TMPDIR")
    with temporary_folder(str(tmp_path)):
        assert Path(tempfile.gettempdir()).parent == Path(os.environ["TMPDIR"]).parent == tmp_path / ".tmp"
        assert not left.exists()
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == before
