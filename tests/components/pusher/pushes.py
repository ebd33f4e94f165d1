"""Pushes of small models, with real artifacts and folders."""

import dataclasses
import json
from pathlib import Path
from typing import Any

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


@dataclasses.dataclass(frozen=True)
class ServingFolder:
    """A serving folder; the artifacts of what is done with it are below `root`."""

    root: Path
    folder: Path

    def push(
        self,
        *,
        blessed: bool = True,
        artifact_id: int = 5,
        weights: bytes = b"weights",
        accuracy: float = 0.9,
        baseline: standard_artifacts.Model | None = None,
        sample: bytes = b"",
        written: str = "",
    ) -> standard_artifacts.PushedModel:
        """Pushes a model that its weights tell from others; `written` is the digest recorded when it was written."""
        root = self.root
        model = _model(root / "model", weights)
        if written:
            model.set_string_custom_property(WRITTEN_DIGEST_PROPERTY, written)
        blessing = standard_artifacts.ModelBlessing()
        blessing.set_int_custom_property("blessed", int(blessed))
        pushed = standard_artifacts.PushedModel()
        pushed.uri = str(root / f"pushed{artifact_id}")
        pushed.id = artifact_id
        filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=str(self.folder))
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

    def push_version(self, **options: Any) -> str:
        return str(self.push(**options).get_string_custom_property("pushed_version"))

    def read_baseline(self, name: str = "baseline", candidate: bytes = b"candidate") -> standard_artifacts.Model:
        """Reads what a model with the candidate's weights is to be compared with, as it is now."""
        model = standard_artifacts.Model()
        model.uri = str(self.root / name)
        Path(model.uri).mkdir(parents=True)
        given = _model(self.root / f"{name}_candidate", candidate)
        BaselineReader.test_call(serving_model_dir=str(self.folder), candidate=given, model=model)
        return model

    def files(self) -> dict[str, bytes]:
        return files_below(self.folder)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def versions(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir())


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


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
