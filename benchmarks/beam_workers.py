"""Photos per second against Beam workers, of FeatureExtractor alone: `python -m benchmarks.beam_workers --run OUTPUT`.

Takes the photos, the Transform graph and the backbone of a finished run, so that only the component is measured. Each
worker is a process whose TensorFlow has one thread: otherwise one worker would already use every core.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import click

from components.common.contracts import SPLIT_COUNTS_PROPERTY

_RESULTS: Final = Path(__file__).parent / "results"
_RUNNERS: Final = {"multi_processing": "DirectRunner, multi-processing", "flink": "Flink, worker processes"}
_ONE_THREAD: Final = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


@click.command()
@click.option("--run", "output", required=True, help="Output folder of a finished `local_runner.py run`.")
@click.option("--runner", "runners", multiple=True, type=click.Choice(list(_RUNNERS)), default=list(_RUNNERS))
@click.option("--workers", type=int, multiple=True, default=[1, 2], show_default=True)
@click.option("--measure", nargs=2, hidden=True, help="Measure one runner with so many workers, in this process.")
def main(output: str, runners: tuple[str, ...], workers: tuple[int, ...], measure: tuple[str, str] | None) -> None:
    """Measures every runner with every number of workers, and draws the chart."""
    if measure:
        print(json.dumps(measure_one(Path(output), measure[0], int(measure[1]))))
        return
    results = []
    for runner in runners:
        for count in workers:
            results.append(_in_own_process(output, runner, count))
            print(f"{runner}, workers {count}: {results[-1]['photos_per_second']:.1f} photos/s", flush=True)
    for result in results:
        if result["features_sha256"] != results[0]["features_sha256"]:
            raise click.ClickException("the features differ between runners")
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / "beam_workers.json").write_text(json.dumps({"cores": os.cpu_count(), "results": results}, indent=2))
    draw(results, _RESULTS / "beam_workers.svg")


def _in_own_process(output: str, runner: str, workers: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.beam_workers", "--run", output, "--measure", runner, str(workers)]
    finished = subprocess.run(command, env={**os.environ, **_ONE_THREAD}, stdout=subprocess.PIPE, check=True)
    return json.loads(finished.stdout.splitlines()[-1])


def measure_one(output: Path, runner: str, workers: int) -> dict[str, Any]:
    """Runs FeatureExtractor once and checks nothing else.

    Args:
        output: Output folder of a finished run.
        runner: A key of `_RUNNERS`.
        workers: Worker processes, at least 1.

    Returns:
        `runner`, `workers`, `photos`, `seconds` (start of workers included), `photos_per_second`, `features_sha256`.
    """
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

    from components.feature_extractor.executor import Executor
    from pipeline.beam_runners.beam_args import beam_args, prepare
    from pipeline.beam_runners.flink import worker_process_args

    extra = [*worker_process_args(), f"--sdk_worker_parallelism={workers}"] if runner == "flink" else []
    args = list(beam_args(runner, workers, extra))
    prepare(args, str(output))
    inputs = _artifacts(output)
    with tempfile.TemporaryDirectory() as folder:
        features = type(inputs["examples"][0])()
        features.uri = folder
        executor = Executor(BaseBeamExecutor.Context(beam_pipeline_args=args, unique_id="1", tmp_dir=folder))
        started = time.monotonic()
        executor.Do(inputs, {"features": [features]}, {"batch_size": 32})
        seconds = time.monotonic() - started
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(folder).glob("Split-*/*.gz"))))
    photos = sum(json.loads(inputs["examples"][0].get_string_custom_property(SPLIT_COUNTS_PROPERTY)).values())
    return {
        "runner": runner,
        "workers": workers,
        "photos": photos,
        "seconds": seconds,
        "photos_per_second": photos / seconds,
        "features_sha256": digest.hexdigest(),
    }


def _artifacts(output: Path) -> dict[str, list[Any]]:
    """Returns the inputs of the last FeatureExtractor execution that was not answered from the cache."""
    import ml_metadata as mlmd
    from ml_metadata.proto import metadata_store_pb2
    from tfx.orchestration.portable.mlmd import event_lib
    from tfx.types import artifact_utils

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


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Draws photos per second against workers, a line per runner.

    Args:
        results: From `measure_one`.
        path: The picture to write; its suffix is the format.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for runner, label in _RUNNERS.items():
        points = sorted((r["workers"], r["photos_per_second"]) for r in results if r["runner"] == runner)
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set_xticks(sorted({r["workers"] for r in results}))
    axes.set_ylim(0, 1.2 * max(r["photos_per_second"] for r in results))
    axes.set_xlabel("workers")
    axes.set_ylabel("photos per second")
    axes.set_title(f"Feature extraction of {results[0]['photos']:,} photos, start of workers included", fontsize=10)
    axes.legend(loc="lower right")
    figure.savefig(path)


if __name__ == "__main__":
    main()
