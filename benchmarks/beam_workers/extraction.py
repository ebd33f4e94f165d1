"""FeatureExtractor alone, once, on one runner."""

import hashlib
import tempfile
import time
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.orchestration.portable.mlmd import event_lib
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples

from benchmarks.beam_workers.repeated_photos import repeat_photos
from benchmarks.beam_workers.worker_cpu import WorkerCpu
from components.feature_extractor.executor import Executor
from pipeline.beam_runners.beam_args import beam_args, prepare
from pipeline.beam_runners.flink import worker_process_args


def extract_features(output: Path, runner: str, workers: int, photos: int) -> dict[str, Any]:
    """Runs FeatureExtractor on photos, Transform graph and backbone of a finished run.

    Args:
        output: Output folder of the run.
        runner: `multi_processing` or `flink`.
        workers: Worker processes, at least 1.
        photos: Photos of the run are repeated until there are so many.

    Returns:
        `seconds` (start of workers included), `cpu_seconds` by kind of process, `features_sha256`.
    """
    # Flink's workers are threads of this process by default; here each is a process of its own.
    extra = [*worker_process_args(), f"--sdk_worker_parallelism={workers}"] if runner == "flink" else []
    args = list(beam_args(runner, workers, extra))
    prepare(args, str(output))
    inputs = _inputs_of_run(output)
    with tempfile.TemporaryDirectory(prefix="flowers-workers-") as folder:
        inputs["examples"] = [repeat_photos(inputs["examples"][0], photos, Path(folder, "photos"))]
        features = Examples()
        features.uri = f"{folder}/features"
        executor = Executor(BaseBeamExecutor.Context(beam_pipeline_args=args, unique_id="1", tmp_dir=folder))
        cpu, started = WorkerCpu(), time.monotonic()
        executor.Do(inputs, {"features": [features]}, {"batch_size": 32})
        seconds, cpu_seconds = time.monotonic() - started, cpu.stop()
        digest = hashlib.sha256()
        for path in sorted(Path(features.uri).glob("Split-*/*.gz")):
            digest.update(path.read_bytes())
    return {"seconds": round(seconds, 2), "cpu_seconds": cpu_seconds, "features_sha256": digest.hexdigest()}


def _inputs_of_run(output: Path) -> dict[str, list[Any]]:
    """Returns the inputs of the last FeatureExtractor execution that was not answered from the cache."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(output / "metadata.sqlite")
    store = mlmd.MetadataStore(config)
    (execution_type,) = (t.name for t in store.get_execution_types() if t.name.endswith("FeatureExtractor"))
    executions = store.get_executions_by_type(execution_type)
    execution = [e for e in executions if e.last_known_state == metadata_store_pb2.Execution.COMPLETE][-1]
    types = {artifact_type.id: artifact_type for artifact_type in store.get_artifact_types()}
    inputs: dict[str, list[Any]] = {}
    for event in store.get_events_by_execution_ids([execution.id]):
        if event_lib.is_valid_input_event(event):
            (artifact,) = store.get_artifacts_by_id([event.artifact_id])
            tfx_artifact = artifact_utils.deserialize_artifact(types[artifact.type_id], artifact)
            inputs[event.path.steps[0].key] = [tfx_artifact]
    return inputs
