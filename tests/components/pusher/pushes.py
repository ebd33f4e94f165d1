"""Pushes of small models, with real artifacts and folders."""

import dataclasses
import json
from pathlib import Path

from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from components.baseline_reader import BaselineReader
from components.contracts.artifact_types import Drift
from components.contracts.drift import SAMPLE_FILE
from components.contracts.evaluation import ClassMetrics, EvaluationMetrics
from components.contracts.output_folder import WRITTEN_DIGEST_PROPERTY
from components.pusher import Executor as Pusher

CLASSES = ("daisy", "roses")


def push(
    root: Path,
    serving: str,
    *,
    blessed: bool = True,
    artifact_id: int = 5,
    weights: bytes = b"weights",
    accuracy: float = 0.9,
    baseline: standard_artifacts.Model | None = None,
    sample: bytes = b"",
    written: str = "",
) -> standard_artifacts.PushedModel:
    """Pushes a model.

    Args:
        root: Folder for the artifacts.
        serving: The serving folder.
        blessed: Whether it is blessed.
        artifact_id: The id of what is pushed.
        weights: What tells it from other models.
        accuracy: Its test accuracy.
        baseline: What it was compared with, from `read_baseline`.
        sample: DriftDetector's of its photos.
        written: The digest that was recorded when the model had been written.
    """
    model = _model(root / "model", weights)
    if written:
        model.set_string_custom_property(WRITTEN_DIGEST_PROPERTY, written)
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", int(blessed))
    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(root / f"pushed{artifact_id}")
    pushed.id = artifact_id
    filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=serving)
    destination = pusher_pb2.PushDestination(filesystem=filesystem)
    Pusher().Do(
        {
            "model": [model],
            "model_blessing": [blessing],
            "evaluation": [_evaluation(root / "evaluation", accuracy)],
            "baseline_model": [baseline] if baseline else [],
            "drift": [_drift(root / "drift", sample)] if sample else [],
        },
        {"pushed_model": [pushed]},
        {"push_destination": proto_utils.proto_to_json(destination)},
    )
    return pushed


def _model(folder: Path, weights: bytes) -> standard_artifacts.Model:
    (folder / "Format-Serving" / "variables").mkdir(parents=True, exist_ok=True)
    (folder / "Format-Serving" / "saved_model.pb").write_bytes(b"graph")
    (folder / "Format-Serving" / "variables" / "variables.index").write_bytes(weights)
    model = standard_artifacts.Model()
    model.uri = str(folder)
    return model


def _drift(folder: Path, sample: bytes) -> Drift:
    folder.mkdir(exist_ok=True)
    (folder / SAMPLE_FILE).write_bytes(sample)
    drift = Drift()
    drift.uri = str(folder)
    return drift


def _evaluation(folder: Path, accuracy: float) -> standard_artifacts.ModelEvaluation:
    metrics = EvaluationMetrics(
        split="test",
        examples=20,
        accuracy=accuracy,
        loss=0.25,
        classes=[ClassMetrics(name, 10, 1.0, 1.0, 1.0) for name in CLASSES],
        confusion_matrix=[[10, 0], [0, 10]],
        baseline=None,
        thresholds=[],
        serving_difference=0.0,
    )
    folder.mkdir(exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(dataclasses.asdict(metrics)))
    evaluation = standard_artifacts.ModelEvaluation()
    evaluation.uri = str(folder)
    return evaluation


def read_baseline(root: Path, serving: str, candidate: bytes = b"candidate") -> standard_artifacts.Model:
    """Reads what a model is to be compared with, as it is in a serving folder now.

    Args:
        root: Folder for the artifact.
        serving: The serving folder.
        candidate: The model's weights.
    """
    root.mkdir(parents=True)
    model = standard_artifacts.Model()
    model.uri = str(root)
    given = _model(root.with_name(f"{root.name}_candidate"), candidate)
    BaselineReader.test_call(serving_model_dir=serving, candidate=given, model=model)
    return model


def files_below(folder: Path) -> dict[str, bytes]:
    """Returns the content of all files by their relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
