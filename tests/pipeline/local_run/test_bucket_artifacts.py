"""A whole run whose artifacts and pushed model are in an S3 bucket, on a loopback server."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from click.testing import CliRunner
from loopback_storages import put_raw
from tfx.utils import io_utils

from components.common.errors import UserError
from components.storage.objects import list_objects
from pipeline.cli.run import run
from pipeline.cli.run_options import collect_run_options
from pipeline.config import PipelineConfig
from pipeline.local_run import runner as local
from pipeline.local_run.recovery import recovering
from pipeline.presets import build_config
from pipeline.records.store import open_store


class _Observer:
    def __init__(self) -> None:
        self.computed: list[str] = []

    def node_started(self, node_id: str, position: int, total: int) -> None:
        pass

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None:
        if not cached:
            self.computed.append(node_id)


@pytest.fixture
def config(tmp_path: Path, small_photos: Path, tiny_backbone: Path, s3_bucket: str) -> PipelineConfig:
    options = collect_run_options(
        "quickstart",
        output=str(tmp_path / "output"),
        photos=str(small_photos),
        backbone=str(tiny_backbone),
        epochs=3,
        batch_size=8,
        learning_rate=0.05,
    )
    return dataclasses.replace(build_config(options), bucket=f"{s3_bucket}/runs")


def _run(config: PipelineConfig) -> tuple[str, list[str]]:
    observer = _Observer()
    with recovering(config):
        return local.run(config, observer), observer.computed


@pytest.mark.slow
def test_artifacts_and_pushed_models_are_in_the_bucket(config: PipelineConfig, tmp_path: Path) -> None:
    run_id, _ = _run(config)
    finished = open_store(config.output).run(run_id)
    artifacts = [a for e in finished.executions.values() for found in e.outputs.values() for a in found]
    assert artifacts
    for artifact in artifacts:
        assert artifact.uri.startswith(f"{config.bucket}/pipelines/{config.name}/")
        files = {file for file in artifact.path.rglob("*") if file.is_file()}
        assert artifact.path.is_relative_to(config.output)
        kept = {Path(file) for file, _ in list_objects(artifact.uri)}
        assert kept == {file.relative_to(artifact.path) for file in files}
    assert finished.blessed
    assert finished.pushed_path
    assert finished.pushed_path.startswith(f"{config.bucket}/serving_model/{config.name}/")
    io_utils.copy_dir(finished.pushed_path, str(tmp_path / "served"))
    assert "serving_default" in tf.saved_model.load(str(tmp_path / "served")).signatures

    # Evaluator.validation's blessing is an empty folder.
    _, computed = _run(config)
    assert computed == ["latest_blessed_model_resolver"]

    # What is not on this machine any more comes from the bucket.
    shutil.rmtree(f"{config.output}/pipelines")
    hyperparameters = dataclasses.replace(config.hyperparameters, epochs=4)
    _, computed = _run(dataclasses.replace(config, hyperparameters=hyperparameters))
    assert set(computed) == {
        "latest_blessed_model_resolver", "Trainer", "Evaluator.validation", "Evaluator.test", "DriftDetector",
        "Pusher",
    }  # fmt: skip

    # A name in the bucket cannot leave the artifact's folder.
    shutil.rmtree(f"{config.output}/pipelines")
    features = finished.executions["FeatureExtractor"].outputs["features"][0].uri
    put_raw(f"{features}/Split-train/../../../evil", b"evil")
    with pytest.raises(UserError, match=r"^cannot keep artifacts in s3://.*: .*Split-train/\.\./\.\./\.\./evil"):
        _run(dataclasses.replace(config, hyperparameters=dataclasses.replace(hyperparameters, epochs=5)))
    assert not list(tmp_path.rglob("evil"))


def test_other_storages_are_refused() -> None:
    result = CliRunner().invoke(run, ["--output", "hdfs://namenode/runs"])
    assert str(result.exception) == (
        "cannot write to --output hdfs://namenode/runs: expected a folder, or a URI with one of s3://, gs://, az://"
    )


def test_a_bucket_that_is_not_there_is_said_before_anything_runs(config: PipelineConfig) -> None:
    with pytest.raises(UserError, match=r"^cannot keep artifacts in s3://no-such-bucket/runs: .*NoSuchBucket.*$"):
        local.run(dataclasses.replace(config, bucket="s3://no-such-bucket/runs"), _Observer())
