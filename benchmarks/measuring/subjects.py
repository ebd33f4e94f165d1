"""What is compared: the reference recipe and the pipeline, each as a command with a measured outcome."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.measuring.measure import Measurement, Sample, run_measured
from components.contracts import BACKBONE_PASSES_PROPERTY, TEST_SPLIT
from components.contracts.nodes import (
    EVALUATOR_TEST,
    EVALUATOR_VALIDATION,
    FEATURE_EXTRACTOR,
    FEATURES,
)
from components.example_gen.options import DataSource
from components.modeling.hyperparameters import REFERENCE
from pipeline.records.store import Run, open_store

# Photos that each of the two Evaluators also sends through the served signature.
_SERVING_CHECK_PHOTOS: Final = 32


@dataclasses.dataclass(frozen=True)
class Subject:
    """What all runs of one benchmark share.

    Attributes:
        source: The photos, with the folder they are prepared in.
        photos: How many there are.
        backbone: SavedModel folder.
        image_size: Height and width in pixels.
        epochs: Passes over the training split.
        folder: Everything is written below it.
    """

    source: DataSource
    photos: int
    backbone: str
    image_size: int
    epochs: int
    folder: Path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A measured run.

    Attributes:
        name: What ran.
        measurement: Wall time, CPU time and memory.
        passes_per_photo: Photos that went through the backbone, per photo of the set.
        test_accuracy: In [0, 1].
        component_seconds: Wall time per component of the pipeline, some of which ran side by side; "start-up and
            report" is what came before the first and after the last.
        component_memory_mb: Peak per component. One process runs them all and keeps what it once had: no component is
            below the one before by much.
        component_cpu_seconds: User and system time per component, of all processes.
        cached: Components answered from the cache.
    """

    name: str
    measurement: Measurement
    passes_per_photo: float
    test_accuracy: float
    component_seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    component_memory_mb: dict[str, float] = dataclasses.field(default_factory=dict)
    component_cpu_seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    cached: list[str] = dataclasses.field(default_factory=list)


def run_recipe(subject: Subject) -> Outcome:
    """Runs the reference recipe."""
    result = subject.folder / "recipe.json"
    command = [
        sys.executable, "-m", "benchmarks.recipe.reference_recipe",
        "--source", json.dumps(dataclasses.asdict(subject.source)),
        "--backbone", subject.backbone,
        "--image-size", str(subject.image_size),
        "--epochs", str(subject.epochs),
        "--result", str(result),
    ]  # fmt: skip
    measurement = run_measured(command, subject.folder / "recipe.log")
    found = json.loads(result.read_text())
    return Outcome("recipe", measurement, found["backbone_passes"] / found["photos"], found["test_accuracy"])


def run_pipeline(subject: Subject, name: str, *options: str) -> Outcome:
    """Runs the pipeline into the subject's output folder.

    Args:
        subject: What to run on.
        name: What to call the outcome.
        *options: More options of `local_runner.py run`.
    """
    source = subject.source
    data = ["--photos", source.photos] if source.photos else ["--dataset", source.dataset]
    if source.num_photos:
        data += ["--num-photos", str(source.num_photos)]
    datasets = output_folder(subject) / "datasets"
    if not datasets.is_symlink():
        # Prepared once for all subjects.
        Path(source.data_dir).mkdir(parents=True, exist_ok=True)
        datasets.parent.mkdir(parents=True, exist_ok=True)
        datasets.symlink_to(source.data_dir, target_is_directory=True)
    command = [
        sys.executable, "local_runner.py", "run", *data,
        "--backbone", subject.backbone, "--image-size", f"{subject.image_size}x{subject.image_size}",
        "--recipe", REFERENCE, "--epochs", str(subject.epochs),
        # Random backbones and other hyperparameters must not keep a run from being pushed.
        "--min-accuracy", "0", "--max-accuracy-drop", "1",
        "--output", str(output_folder(subject)),
        *options,
    ]  # fmt: skip
    samples: list[Sample] = []
    measurement = run_measured(command, subject.folder / f"{name}.log", samples)
    return _outcome(subject, name, measurement, samples)


def output_folder(subject: Subject) -> Path:
    """Returns where the pipeline writes."""
    return subject.folder / "output"


def _outcome(subject: Subject, name: str, measurement: Measurement, samples: Sequence[Sample]) -> Outcome:
    """Reads what the latest run did from ML Metadata."""
    run = open_store(str(output_folder(subject))).find_run("latest")
    seconds = {node: (record.updated_ms - record.started_ms) / 1000 for node, record in run.executions.items()}
    started = min(record.started_ms for record in run.executions.values())
    ended = max(record.updated_ms for record in run.executions.values())
    seconds = {"start-up and report": measurement.wall_seconds - (ended - started) / 1000, **seconds}
    during = {
        node: [sample for sample in samples if record.started_ms <= 1000 * sample.time <= record.updated_ms]
        for node, record in run.executions.items()
    }
    accuracy = run.accuracy(TEST_SPLIT)
    if accuracy is None:
        raise LookupError(f"run {run.run_id} was not evaluated")
    return Outcome(
        name=name,
        measurement=measurement,
        passes_per_photo=_backbone_passes(run) / subject.photos,
        test_accuracy=accuracy,
        component_seconds={node: round(value, 2) for node, value in seconds.items()},
        component_memory_mb={
            node: round(max(s.memory_mb for s in taken), 1) for node, taken in during.items() if taken
        },
        component_cpu_seconds={
            node: round(taken[-1].cpu_seconds - taken[0].cpu_seconds, 2) for node, taken in during.items() if taken
        },
        cached=run.cached_nodes,
    )


def _backbone_passes(run: Run) -> int:
    passes = 0
    features = run.artifact(FEATURES)
    if features and FEATURE_EXTRACTOR not in run.cached_nodes:
        passes += int(features.properties[BACKBONE_PASSES_PROPERTY])
    return passes + _SERVING_CHECK_PHOTOS * len({EVALUATOR_VALIDATION, EVALUATOR_TEST}.difference(run.cached_nodes))
