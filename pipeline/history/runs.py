"""Runs as records: what went in, what came out, how far each one got."""

import dataclasses
import datetime
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.common import contracts
from pipeline.history.records import ArtifactRecord, ExecutionRecord
from pipeline.history.store import RunStore

EVALUATOR_TEST = "Evaluator.test"
_EVALUATION_TYPE = "ModelEvaluation"
_UNFINISHED_STATES = ("RUNNING", "NEW")
_LAST_NODE = "Pusher"
_LOCK_FILE = ".lock"


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """One run at a glance; None is what it did not get to.

    Attributes:
        run_id: Its name in ML Metadata.
        pipeline: The pipeline it ran.
        state: `complete`, `failed`, `running` or `interrupted`.
        failed_nodes: The nodes that failed.
        started: When its first component began, local time in ISO 8601.
        seconds: From then to its last component's end, or to now while it runs.
        dataset: Name of the dataset.
        dataset_version: Its version, or a digest of the photos.
        backbone: The feature extractor, as the user named it.
        validation_accuracy: Accuracy on the validation split, in [0, 1].
        test_accuracy: Accuracy on the test split, in [0, 1].
        blessed: Whether the test split's thresholds were met.
        pushed_path: Folder of the pushed version.
        cached_nodes: Nodes answered from TFX's cache.
    """

    run_id: str
    pipeline: str
    state: str
    failed_nodes: list[str]
    started: str
    seconds: float
    dataset: str | None
    dataset_version: str | None
    backbone: str | None
    validation_accuracy: float | None
    test_accuracy: float | None
    blessed: bool | None
    pushed_path: str | None
    cached_nodes: list[str]


def describe_run(store: RunStore, run_id: str) -> RunRecord:
    """Reads one run.

    Args:
        store: The runs.
        run_id: A run's full id.

    Returns:
        The record; unfinished and failed runs have one as well.
    """
    executions = store.executions(run_id)
    state = _state(store, run_id, executions)
    begun = min((execution.started_ms for execution in executions.values()), default=0)
    ended = max((execution.updated_ms for execution in executions.values()), default=0)
    if state == "running":
        ended = int(time.time() * 1000)
    blessing = output(executions, EVALUATOR_TEST, "blessing")
    pushed = output(executions, _LAST_NODE, "pushed_model")
    dataset, version = _dataset(executions)
    return RunRecord(
        run_id=run_id,
        pipeline=store.pipeline_names[run_id],
        state=state,
        failed_nodes=[node_id for node_id, execution in executions.items() if execution.state == "FAILED"],
        started=datetime.datetime.fromtimestamp(begun / 1000).isoformat(timespec="seconds") if begun else run_id,
        seconds=round((ended - begun) / 1000, 1),
        dataset=dataset,
        dataset_version=version,
        backbone=_backbone(executions),
        validation_accuracy=_accuracy(executions, contracts.VALIDATION_SPLIT),
        test_accuracy=_accuracy(executions, contracts.TEST_SPLIT),
        blessed=None if blessing is None else blessing.properties.get("blessed") == 1,
        pushed_path=pushed_path(store, pushed),
        cached_nodes=[node_id for node_id, execution in executions.items() if execution.cached],
    )


def output(executions: Mapping[str, ExecutionRecord], node_id: str, key: str) -> ArtifactRecord | None:
    """Returns the only artifact of a node's output; None when the node did not run or has no such output."""
    execution = executions.get(node_id)
    return execution.output(key) if execution else None


def pushed_path(store: RunStore, pushed: ArtifactRecord | None) -> str | None:
    """Returns the folder that a PushedModel artifact stands for; None when nothing was pushed."""
    if pushed is None or not pushed.properties.get("pushed"):
        return None
    return str(store.locate(str(pushed.properties["pushed_destination"])))


def evaluation(executions: Mapping[str, ExecutionRecord], split: str) -> ArtifactRecord | None:
    """Returns the evaluation of a run's model on a split; None when there is none yet."""
    for _, artifact in outputs(executions):
        if artifact.type == _EVALUATION_TYPE and artifact.properties.get("split") == split:
            return artifact
    return None


def evaluation_file(store: RunStore, executions: Mapping[str, ExecutionRecord], split: str, name: str) -> Path | None:
    """Returns a file of a split's evaluation; None when there is no evaluation or its folder is gone."""
    artifact = evaluation(executions, split)
    path = store.locate(artifact.uri) / name if artifact else None
    return path if path and path.is_file() else None


def metrics(store: RunStore, executions: Mapping[str, ExecutionRecord], split: str) -> dict[str, Any] | None:
    """Returns `metrics.json` of a split (see `components.evaluator.metrics`); None when it is not there."""
    path = evaluation_file(store, executions, split, "metrics.json")
    content: dict[str, Any] | None = json.loads(path.read_text()) if path else None
    return content


def predictions(store: RunStore, executions: Mapping[str, ExecutionRecord], split: str) -> dict[str, dict[str, Any]]:
    """Returns `predictions.jsonl` of a split by photo id; empty when it is not there."""
    path = evaluation_file(store, executions, split, "predictions.jsonl")
    if path is None:
        return {}
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record["predicted"] = max(range(len(record["probabilities"])), key=record["probabilities"].__getitem__)
    return {record["id"]: record for record in records}


def outputs(executions: Mapping[str, ExecutionRecord]) -> Iterator[tuple[str, ArtifactRecord]]:
    """Yields every output artifact of a run with the node that made it."""
    for node_id, execution in executions.items():
        for artifacts in execution.outputs.values():
            yield from ((node_id, artifact) for artifact in artifacts)


def _state(store: RunStore, run_id: str, executions: Mapping[str, ExecutionRecord]) -> str:
    states = {execution.state for execution in executions.values()}
    if "FAILED" in states:
        return "failed"
    if _LAST_NODE in executions and not states.intersection(_UNFINISHED_STATES):
        return "complete"
    is_latest = run_id == next(reversed(store.pipeline_names))
    return "running" if is_latest and _is_locked(store.output / _LOCK_FILE) else "interrupted"


def _is_locked(lock: Path) -> bool:
    """Tells whether a run holds an output folder, without taking the lock, which could turn a starting run away."""
    held = Path("/proc/locks")
    if not lock.exists() or not held.exists():
        # Only Linux lists locks; elsewhere an unfinished run is taken to be running.
        return lock.exists()
    inode = f":{lock.stat().st_ino} "
    return any(" FLOCK " in line and inode in line for line in held.read_text().splitlines())


def _dataset(executions: Mapping[str, ExecutionRecord]) -> tuple[str | None, str | None]:
    for _, artifact in outputs(executions):
        if name := artifact.properties.get(contracts.DATASET_NAME_PROPERTY):
            return str(name), str(artifact.properties.get(contracts.DATASET_VERSION_PROPERTY, ""))
    for execution in executions.values():
        if {"dataset", "photos"} <= execution.properties.keys():
            return str(execution.properties["dataset"] or execution.properties["photos"]), None
    return None, None


def _backbone(executions: Mapping[str, ExecutionRecord]) -> str | None:
    for execution in executions.values():
        if backbone := execution.properties.get("backbone"):
            return str(backbone)
    return None


def _accuracy(executions: Mapping[str, ExecutionRecord], split: str) -> float | None:
    artifact = evaluation(executions, split)
    accuracy = artifact.properties.get("accuracy") if artifact else None
    return None if accuracy is None else float(accuracy)
