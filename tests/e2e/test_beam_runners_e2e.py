"""The same features and metrics on every Beam runner, each run for real on tiny data.

Flink's tests need Java and the job server that `make flink-jar` brings, and skip without.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import psutil
import pytest
from click.testing import CliRunner
from flink_cluster import flink_cluster, jobs_of, task_managers_of
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact_utils, standard_artifacts

from components.common import contracts
from components.common.contracts import BACKBONE_PASSES_PROPERTY
from components.common.errors import UserError
from components.feature_extractor.executor import Executor
from pipeline.beam_runners.beam_args import beam_args, prepare
from pipeline.cli.main import cli
from pipeline.cli.run_options import collect_run_options
from pipeline.local_run import runner as local
from pipeline.local_run.failures import user_error_message
from pipeline.presets import build_config

_JOB_SERVER = Path(__file__).parents[2] / "build" / "flink" / "job-server.jar"
_WORKERS = 2
_PHOTOS = 72
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
    def node_started(self, node_id: str, position: int, total: int) -> None: ...

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

    def folder(self, pattern: str) -> str:
        (path,) = self.root.glob(pattern)
        return str(path)


def _without_execution_id(path: Path) -> str:
    return "/".join(part for part in path.parts if not part.isdigit())


@pytest.fixture(scope="module")
def run_on(tmp_path_factory: pytest.TempPathFactory, small_photos: Path, tiny_backbone: Path):
    """Runs the whole pipeline on a runner."""

    def run(runner: str, workers: int) -> _Run:
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
        )
        config = build_config(options)
        prepare(config.beam_args, config.output)
        local.run(config, _Observer())
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


def test_multi_processing_gives_the_same_features_and_metrics(run_on, direct_run: _Run) -> None:
    _assert_same_results(run_on("multi_processing", _WORKERS), direct_run)


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
def test_flink_cluster_gives_the_same_features(tmp_path: Path, direct_run: _Run) -> None:
    """FeatureExtractor on a cluster of two task managers, whose workers are processes of their own."""
    with flink_cluster(_JOB_SERVER.parent / "lib", tmp_path / "cluster", task_managers=_WORKERS) as address:
        args = beam_args("flink-cluster", _WORKERS, [f"--flink_master={address}"])
        features = _extract_features(direct_run, tmp_path / "features", list(args))
        assert features.get_int_custom_property(BACKBONE_PASSES_PROPERTY) == _PHOTOS, "counters arrive from workers"
        (job,) = jobs_of(address)
        assert job["state"] == "FINISHED"
        assert len(task_managers_of(address, job["jid"])) == _WORKERS
    written = {path.parent.name: path.read_bytes() for path in (tmp_path / "features").glob("*/*.gz")}
    expected = direct_run.files(_FEATURES)
    assert written == {Path(name).parent.name: content for name, content in expected.items()}


def _extract_features(run: _Run, target: Path, args: list[str]) -> standard_artifacts.Examples:
    """Runs FeatureExtractor's executor on what a run's earlier components wrote."""
    photos, features = standard_artifacts.Examples(), standard_artifacts.Examples()
    graph, backbone = standard_artifacts.TransformGraph(), standard_artifacts.Model()
    photos.uri, features.uri = run.folder("ImageValidator/valid_examples/*"), str(target)
    photos.split_names = artifact_utils.encode_split_names(list(contracts.SPLITS))
    photos.set_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY, '{"train": 36, "validation": 18, "test": 18}')
    graph.uri, backbone.uri = run.folder("Transform/transform_graph/*"), run.folder("BackboneImporter/model/*")
    digest = _backbone_digest(run)
    backbone.set_string_custom_property(contracts.BACKBONE_DIGEST_PROPERTY, digest)
    Executor(BaseBeamExecutor.Context(beam_pipeline_args=args, unique_id="1", tmp_dir=os.fspath(target.parent))).Do(
        {"examples": [photos], "transform_graph": [graph], "backbone": [backbone]},
        {"features": [features]},
        {"batch_size": 32},
    )
    return features


def _backbone_digest(run: _Run) -> str:
    import tensorflow as tf

    (path,) = run.root.glob("FeatureExtractor/features/*/Split-test/*.gz")
    record = next(tf.data.TFRecordDataset(str(path), compression_type="GZIP").as_numpy_iterator())
    example = tf.train.Example.FromString(record)
    return example.features.feature[contracts.BACKBONE_DIGEST_KEY].bytes_list.value[0].decode()
