"""The same features and metrics on Flink as on the direct runner, each run for real on tiny data.

Needs Java and the job server that `make flink-jar` brings, and skips without.
"""

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apache_beam as beam
import psutil
import pytest
from click.testing import CliRunner
from flink_cluster import FlinkCluster, flink_cluster

from components.common.errors import UserError
from pipeline.beam_runners.beam_args import beam_args, prepare
from pipeline.cli.main import cli
from pipeline.cli.run_options import collect_run_options
from pipeline.local_run import runner as local
from pipeline.local_run.failures import user_error_message
from pipeline.presets import build_config

_JOB_SERVER = Path(__file__).parents[2] / "build" / "flink" / "job-server.jar"
_WORKERS = 2
_PATIENCE_S = 600
_FEATURES = "FeatureExtractor/features/*/Split-*/*.gz"

needs_flink = pytest.mark.skipif(
    not (shutil.which("java") and _JOB_SERVER.is_file()),
    reason="Flink needs Java and build/flink/job-server.jar (make flink-jar)",
)


@pytest.fixture(scope="module", autouse=True)
def no_job_server_is_left() -> Iterator[None]:
    """Beam's job servers stay until Python exits, and Flink keeps a core busy for the rest of the tests."""
    yield
    for child in psutil.Process().children():
        if child.name() == "java":
            child.terminate()


class _Observer:
    """Calls what is to happen when a node starts."""

    def __init__(self, on_start: Mapping[str, Callable[[], object]]) -> None:
        self._on_start = on_start

    def node_started(self, node_id: str, position: int, total: int) -> None:
        self._on_start.get(node_id, lambda: None)()

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None: ...


@dataclasses.dataclass(frozen=True)
class _Run:
    """What a finished run wrote, by its path below the component's folder."""

    root: Path

    def files(self, pattern: str) -> dict[str, bytes]:
        found = {_without_execution_id(path.relative_to(self.root)): path for path in self.root.glob(pattern)}
        assert found
        return {name: path.read_bytes() for name, path in found.items()}

    def metrics(self) -> dict[str, dict[str, Any]]:
        return {name: json.loads(text) for name, text in self.files("Evaluator.*/evaluation/*/metrics.json").items()}


def _without_execution_id(path: Path) -> str:
    return "/".join(part for part in path.parts if not part.isdigit())


@pytest.fixture(scope="module")
def run_on(tmp_path_factory: pytest.TempPathFactory, small_photos: Path, tiny_backbone: Path):
    """Runs the whole pipeline on a runner."""

    def run(runner: str, workers: int, beam_args: Sequence[str] = (), **on_start: Callable[[], object]) -> _Run:
        options = collect_run_options(
            "quickstart",
            output=str(tmp_path_factory.mktemp(runner)),
            photos=str(small_photos),
            backbone=str(tiny_backbone),
            epochs=2,
            batch_size=8,
            learning_rate=0.05,
            min_accuracy=0.0,
            beam_runner=runner,
            beam_workers=workers,
            beam_arg=tuple(beam_args),
        )
        config = build_config(options)
        prepare(config.beam_args, config.output)
        local.run(config, _Observer(on_start))
        return _Run(Path(config.pipeline_root))

    return run


@pytest.fixture(scope="module")
def direct_run(run_on) -> _Run:
    return run_on("direct", 0)


def _assert_same_results(run: _Run, reference: _Run) -> None:
    for pattern in (_FEATURES, "Evaluator.*/evaluation/*/predictions.jsonl"):
        assert run.files(pattern) == reference.files(pattern)
    for name, metrics in reference.metrics().items():
        # Workers sum the losses in an order of their own, over batches of their own: the last bit of a probability
        # in float32 may differ.
        assert run.metrics()[name] == metrics | {"loss": pytest.approx(metrics["loss"], rel=1e-9, abs=1e-7)}


@needs_flink
def test_embedded_flink_gives_the_same_features_and_metrics(run_on, direct_run: _Run) -> None:
    _assert_same_results(run_on("flink", _WORKERS), direct_run)


@needs_flink
def test_many_photos_are_predicted_alike_on_flink(direct_run: _Run, small_photos: Path, tmp_path: Path) -> None:
    output = direct_run.root.parents[1]
    rows = {}
    for runner in ("direct", "flink"):
        target = tmp_path / runner
        arguments = ["--input", small_photos, "--to", target, "--format", "jsonl", "--photos-per-file", 10]
        finished = CliRunner().invoke(
            cli, ["predict", *map(str, arguments), "--output", str(output), "--beam-runner", runner]
        )
        assert finished.exit_code == 0, finished.output
        rows[runner] = [file.read_text() for file in sorted(target.glob("predictions-*"))]
    assert len(rows["direct"]) == 8
    assert rows["flink"] == rows["direct"], "the plan, and so every batch of the model, is the same"


@needs_flink
def test_a_users_error_in_a_flink_worker_is_one_line() -> None:
    def fail(_: int) -> None:
        raise UserError("the photos have changed: run again")

    with pytest.raises(RuntimeError) as error, beam.Pipeline(argv=list(beam_args("flink", _WORKERS))) as pipeline:
        _ = pipeline | beam.Create([1]) | "Fail" >> beam.Map(fail)
    assert user_error_message(error.value) == "the photos have changed: run again"


@needs_flink
@pytest.mark.skipif("FLOWERS_FLINK_CLUSTER" not in os.environ, reason="takes ten minutes: set FLOWERS_FLINK_CLUSTER=1")
def test_a_whole_run_on_a_flink_cluster_survives_the_loss_of_a_task_manager(
    tmp_path: Path, run_on, direct_run: _Run
) -> None:
    """Two task managers, whose workers are processes of their own; one is killed while both run FeatureExtractor."""
    libraries = _JOB_SERVER.parent / "lib"
    with (
        flink_cluster(libraries, tmp_path, task_managers=2, slots=_WORKERS) as cluster,
        ThreadPoolExecutor(max_workers=1) as thread,
    ):
        kills: list[Future[str]] = []
        run = run_on(
            "flink-cluster",
            _WORKERS,
            [f"--flink_master={cluster.address}"],
            FeatureExtractor=lambda: kills.append(thread.submit(_kill_a_task_manager, cluster)),
        )
        (hit,) = [job for job in cluster.jobs() if job["jid"] == kills[0].result()]
        assert cluster.get(f"/jobs/{hit['jid']}")["timestamps"]["RESTARTING"], "the job was hit"
        assert {job["state"] for job in cluster.jobs()} == {"FINISHED"}
    _assert_same_results(run, direct_run)
    assert not list(run.root.rglob("*.tmp"))


def _kill_a_task_manager(cluster: FlinkCluster) -> str:
    """Waits until a step of FeatureExtractor runs on every task manager; returns the id of the job that lost one."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        for job in cluster.jobs():
            if job["state"] == "RUNNING":
                busy = cluster.running_on(job["jid"], "ExtractFeatures", "RUNNING")
                if busy == set(cluster.task_managers):
                    cluster.task_managers[min(busy)].kill()
                    return job["jid"]
        time.sleep(0.1)
    raise TimeoutError("FeatureExtractor never ran on every task manager")
