"""The runs of a metadata store, read from ML Metadata and from the files of their artifacts."""

import functools
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import ml_metadata as mlmd

from components import contracts
from components.common.errors import UsageError
from components.common.records import from_json
from components.common.text import counted
from components.contracts import evaluation, label_review, nodes, output_folder, quarantine, training
from components.contracts.drift import DRIFT_FILE, DriftReport
from components.contracts.label_review import DoubtfulLabel, LabelReviewSummary
from components.contracts.nodes import Output
from components.contracts.tflite import TFLITE_METRICS_FILE, TFLiteMetrics
from pipeline.records.connection import connect
from pipeline.records.metadata import (
    ArtifactRecord,
    ExecutionRecord,
    pipeline_names,
    recorded_times,
    run_executions,
)

_UNFINISHED_STATES = ("RUNNING", "NEW")
_MODEL_RUN_TYPE = "ModelRun"
_LATEST = re.compile(r"latest(?:~(?P<back>\d+))?")
# The ids of local runs: 2026-01-31T08:00:00.123456.
_TIME_ID = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_T = TypeVar("_T")


class Run:
    """One run. What it has not produced is None or empty; each file is read once, when it is first needed."""

    def __init__(self, store: "RunStore", run_id: str):
        self.store = store
        self.run_id = run_id
        self._files: dict[tuple[Output, str], Any] = {}

    @functools.cached_property
    def executions(self) -> Mapping[str, ExecutionRecord]:
        """By node id, in the order in which they ran."""
        return self.store.executions(self.run_id)

    @property
    def pipeline_name(self) -> str:
        """The pipeline that it is a run of."""
        return self.store.pipeline_names[self.run_id]

    # Artifacts and their files

    def artifact(self, output: Output) -> ArtifactRecord | None:
        """Returns the artifact of an output."""
        execution = self.executions.get(output.node_id)
        return execution.output(output.key) if execution else None

    def artifacts(self) -> Iterator[ArtifactRecord]:
        """Yields every output artifact."""
        for execution in self.executions.values():
            yield from (artifact for _, artifact in execution.artifacts(written=True))

    def folder(self, output: Output) -> Path | None:
        """Returns where an output's files are; None when they are not on this machine."""
        artifact = self.artifact(output)
        return artifact.path if artifact and artifact.path.is_dir() else None

    def json(self, output: Output, name: str, cls: type[_T]) -> _T | None:
        """Returns a JSON file of an output as a record; None when there is no such file."""
        return self._read_once(output, name, lambda text: from_json(cls, json.loads(text)))

    def json_lines(self, output: Output, name: str, cls: type[_T]) -> Sequence[_T]:
        """Returns the lines of a JSON Lines file as records; empty when there is no such file."""

        def parse(text: str) -> list[_T]:
            # Not splitlines(): ids may contain other line separators of Unicode.
            return [from_json(cls, json.loads(line)) for line in text.split("\n") if line]

        return self._read_once(output, name, parse) or []

    def _read_once(self, output: Output, name: str, parse: Callable[[str], _T]) -> _T | None:
        if (output, name) not in self._files:
            artifact = self.artifact(output)
            path = artifact.path / name if artifact else None
            self._files[output, name] = parse(path.read_text(encoding="utf-8")) if path and path.is_file() else None
        return cast("_T | None", self._files[output, name])

    # Progress

    @property
    def state(self) -> str:
        """`complete`, `failed`, `running` or `interrupted`."""
        states = {execution.state for execution in self.executions.values()}
        if "FAILED" in states:
            return "failed"
        if "CANCELED" in states:
            return "interrupted"
        if nodes.PUSHER in self.executions and not states.intersection(_UNFINISHED_STATES):
            return "complete"
        is_latest = self.run_id == next(reversed(self.store.pipeline_names))
        return "running" if is_latest and self.store.is_locked() else "interrupted"

    @property
    def failed_nodes(self) -> list[str]:
        """The nodes that failed."""
        return [node_id for node_id, execution in self.executions.items() if execution.state == "FAILED"]

    @property
    def cached_nodes(self) -> list[str]:
        """The nodes whose outputs TFX took from its cache."""
        return [node_id for node_id, execution in self.executions.items() if execution.cached]

    @functools.cached_property
    def _times(self) -> tuple[int, int]:
        return self.store.times(self.run_id)

    @property
    def started_ms(self) -> int:
        """When its process, or else its first component started, in milliseconds since 1970; 0 before that."""
        return self._times[0] or min((execution.started_ms for execution in self.executions.values()), default=0)

    @property
    def ended_ms(self) -> int:
        """When it, or else its last component ended (now, for a running one), in milliseconds since 1970."""
        if self.state == "running":
            return int(time.time() * 1000)
        return self._times[1] or max((execution.updated_ms for execution in self.executions.values()), default=0)

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters by names such as `Trainer.custom_config.hyperparameters.epochs`."""
        return {
            f"{node_id}.{name}": value
            for node_id, execution in self.executions.items()
            for name, value in execution.parameters.items()
        }

    # Data and backbone

    @property
    def examples(self) -> ArtifactRecord | None:
        """The examples that training uses: ImageValidator's, or its input until it has ended."""
        return self.artifact(nodes.VALID_EXAMPLES) or self.artifact(nodes.EXAMPLES)

    def examples_property(self, name: str) -> str:
        """Returns a property of the examples as text; empty when they lack it."""
        return str(self.examples.properties.get(name, "")) if self.examples else ""

    @property
    def class_names(self) -> list[str]:
        """The classes in label order."""
        names: list[str] = json.loads(self.examples_property(contracts.CLASS_NAMES_PROPERTY) or "[]")
        return names

    @property
    def class_counts(self) -> dict[str, dict[str, int]]:
        """Usable photos by split and class name."""
        counts: dict[str, dict[str, int]] = json.loads(self.examples_property(contracts.CLASS_COUNTS_PROPERTY) or "{}")
        return counts

    @property
    def splits(self) -> list[str]:
        """The splits that have photos, the usual ones first."""
        known = [split for split in contracts.SPLITS if split in self.class_counts]
        return known + sorted(set(self.class_counts) - set(known))

    @property
    def dataset(self) -> str | None:
        """Name of the dataset; until it was read, the requested dataset or photos."""
        return self.examples_property(contracts.DATASET_NAME_PROPERTY) or next(
            (
                str(execution.properties["dataset"] or execution.properties["photos"])
                for execution in self.executions.values()
                if {"dataset", "photos"} <= execution.properties.keys()
            ),
            None,
        )

    @property
    def backbone(self) -> str | None:
        """The feature extractor, as the user named it."""
        named = (execution.properties.get("backbone") for execution in self.executions.values())
        return next((str(backbone) for backbone in named if backbone), None)

    @property
    def quarantine_summary(self) -> quarantine.QuarantineSummary | None:
        """ImageValidator's counts."""
        return self.json(nodes.QUARANTINE, quarantine.SUMMARY_FILE, quarantine.QuarantineSummary)

    @property
    def quarantine_entries(self) -> Sequence[quarantine.QuarantineEntry]:
        """Photos and files that ImageValidator left out, moved or reported."""
        return self.json_lines(nodes.QUARANTINE, quarantine.LISTING_FILE, quarantine.QuarantineEntry)

    @property
    def label_review(self) -> LabelReviewSummary | None:
        """LabelReviewer's counts."""
        return self.json(nodes.LABEL_REVIEW, label_review.SUMMARY_FILE, LabelReviewSummary)

    @property
    def doubtful_labels(self) -> Sequence[DoubtfulLabel]:
        """Photos with a doubtful label, the most doubtful first."""
        return self.json_lines(nodes.LABEL_REVIEW, label_review.LISTING_FILE, DoubtfulLabel)

    @property
    def drift(self) -> DriftReport | None:
        """How the photos differ from those of the latest blessed model."""
        return self.json(nodes.DRIFT, DRIFT_FILE, DriftReport)

    # Training

    @property
    def model_runs(self) -> dict[str, ArtifactRecord]:
        """The logs of every training, by node id."""
        return {
            node_id: artifact
            for node_id, execution in self.executions.items()
            for _, artifact in execution.artifacts(written=True)
            if artifact.type == _MODEL_RUN_TYPE
        }

    def epochs(self, node_id: str) -> Sequence[training.EpochResult]:
        """Returns the epochs of a training."""
        output = Output(node_id, nodes.MODEL_RUN_KEY)
        return self.json(output, training.CURVE_FILE, list[training.EpochResult]) or []

    @property
    def tuning(self) -> training.TuningResult | None:
        """The result of the hyperparameter search."""
        best = self.artifact(nodes.BEST_HYPERPARAMETERS)
        if best is None:
            return None
        return training.TuningResult(
            values=json.loads(str(best.properties[training.TUNED_VALUES_PROPERTY])),
            validation_accuracy=float(best.properties[training.VALIDATION_ACCURACY_PROPERTY]),
            trials=int(best.properties[training.TRIALS_PROPERTY]),
        )

    @property
    def fine_tuning(self) -> training.FineTuningOutcome | None:
        """The result of fine-tuning."""
        return self.json(nodes.FINE_TUNING_RUN, training.FINE_TUNING_FILE, training.FineTuningOutcome)

    # Evaluation and push

    def accuracy(self, split: str) -> float | None:
        """Returns the accuracy on a split, in [0, 1], from ML Metadata."""
        artifact = self.artifact(nodes.EVALUATIONS[split])
        accuracy = artifact.properties.get(evaluation.ACCURACY) if artifact else None
        return None if accuracy is None else float(accuracy)

    def metrics(self, split: str) -> evaluation.EvaluationMetrics | None:
        """Returns what the Evaluator of a split measured."""
        return self.json(nodes.EVALUATIONS[split], evaluation.METRICS_FILE, evaluation.EvaluationMetrics)

    def predictions(self, split: str) -> Sequence[evaluation.ExamplePrediction]:
        """Returns the model's predictions for the examples of a split."""
        return self.json_lines(nodes.EVALUATIONS[split], evaluation.PREDICTIONS_FILE, evaluation.ExamplePrediction)

    @property
    def tflite(self) -> TFLiteMetrics | None:
        """What the TFLite export measured; None also when the model was not blessed, and so not converted."""
        return self.json(nodes.TFLITE_MODEL, TFLITE_METRICS_FILE, TFLiteMetrics)

    @property
    def blessed(self) -> bool | None:
        """Whether the model met the thresholds on the test split."""
        blessing = self.artifact(nodes.BLESSING)
        return None if blessing is None else blessing.properties.get(nodes.BLESSED_PROPERTY) == 1

    @property
    def pushed_path(self) -> str | None:
        """The pushed version's folder, where it is now; for a bucket, its URI."""
        pushed = self.artifact(nodes.PUSHED_MODEL)
        if pushed is None or not pushed.properties.get(nodes.PUSHED_PROPERTY):
            return None
        destination = str(pushed.properties[nodes.PUSHED_DESTINATION_PROPERTY])
        return destination if "://" in destination else str(self.store.locate(destination))


class RunStore:
    """The runs of one metadata store; each is read once, when it is first needed."""

    def __init__(self, metadata: mlmd.MetadataStore, output: Path):
        """Wraps an open store; `output` is the folder that the runs wrote to, or a copy of it."""
        self._metadata = metadata
        self._runs: dict[str, Run] = {}
        self.output = output

    @functools.cached_property
    def pipeline_names(self) -> dict[str, str]:
        """The pipeline of every run, by run id, oldest run first."""
        return pipeline_names(self._metadata)

    @property
    def runs(self) -> list[Run]:
        """Every run, oldest first."""
        return [self.run(run_id) for run_id in self.pipeline_names]

    def run(self, run_id: str) -> Run:
        """Returns the run with an id."""
        return self._runs.setdefault(run_id, Run(self, run_id))

    def executions(self, run_id: str) -> dict[str, ExecutionRecord]:
        """Returns a run's executions by node id, in the order in which they ran."""
        return run_executions(self._metadata, run_id, self.locate)

    def times(self, run_id: str) -> tuple[int, int]:
        """Returns when a run's process started and ended, see `recorded_times`."""
        return recorded_times(self._metadata, run_id)

    def find_run(self, text: str) -> Run:
        """Finds the run that a user means; raises UsageError if it is none, or more than one.

        `text` is a run id, an unambiguous part of one, `latest`, or `latest~N` for the N-th before it.
        """
        run_ids = list(self.pipeline_names)
        if not run_ids:
            raise UsageError(f"no run in the metadata store of {self.output}: start one with `local_runner.py run`")
        if match := _LATEST.fullmatch(text):
            back = int(match["back"] or 0)
            if back >= len(run_ids):
                verb = "is" if len(run_ids) == 1 else "are"
                raise UsageError(f"{text}: there {verb} only {counted(len(run_ids), 'run')}; `runs` lists them")
            return self.run(run_ids[-1 - back])
        found = self._matching(text)
        if len(found) == 1:
            return self.run(found[0])
        if found:
            raise UsageError(f"{text!r} matches {len(found)} run ids ({', '.join(found[:3])} ...): give more of it")
        raise UsageError(f"no run {text!r}: `runs` lists them; `latest` is {run_ids[-1]}")

    def is_run(self, text: str) -> bool:
        """Tells whether a text names one run or more."""
        return bool(_LATEST.fullmatch(text) or self._matching(text))

    def short_id(self, run_id: str) -> str:
        """Returns a part of a run's id that names it, too: date and time, or the first characters."""
        parts = (run_id[5:16], run_id[5:19]) if _TIME_ID.match(run_id) else (run_id[:8],)
        return next((part for part in parts if self._matching(part) == [run_id]), run_id)

    def _matching(self, text: str) -> list[str]:
        """Returns the run id that a text is, or else those that begin with it, or else those that contain it."""
        matching: tuple[Callable[[str, str], bool], ...] = (str.__eq__, str.startswith, str.__contains__)
        found = ([run_id for run_id in self.pipeline_names if matches(run_id, text)] for matches in matching)
        return next(filter(None, found), [])

    def is_locked(self) -> bool:
        """Tells whether a run holds the output folder, without taking the lock: that could stop a run from starting."""
        lock, held = self.output / output_folder.LOCK_FILE, Path("/proc/locks")
        if not lock.exists() or not held.exists():
            # Only Linux lists locks; elsewhere an unfinished run counts as running.
            return lock.exists()
        inode = f":{lock.stat().st_ino} "
        return any(" FLOCK " in line and inode in line for line in held.read_text().splitlines())

    def locate(self, uri: str) -> Path:
        """Returns where the files of a recorded path are now.

        That is the same path below this output folder, which may be a copy, if it exists: at the original place
        another run may have overwritten it. Otherwise it is the recorded path.
        """
        for name in dict.fromkeys(self.pipeline_names.values()):
            for folder in (output_folder.PIPELINES_FOLDER, output_folder.SERVING_MODEL_FOLDER):
                # The last match: folders above the recorded output may have such names too.
                _, found, below = uri.rpartition(f"/{folder}/{name}/")
                here = self.output / folder / name / below
                if found and here.exists():
                    return here
        return Path(uri)


def open_store(output: str, metadata: str | None = None) -> RunStore:
    """Opens the metadata store of an output folder or a copy of it, read-only; raises UserError if that fails.

    `metadata` is ML Metadata's address, unless it is in the output folder.
    """
    folder = Path(output).expanduser().absolute()
    database = folder / output_folder.METADATA_FILE
    if not metadata and not database.is_file():
        raise UsageError(
            f"no metadata store in {folder} (no {database.name}): give the --output of a run, or start one with "
            "`local_runner.py run`"
        )
    return RunStore(connect(metadata or f"sqlite:{database}", read_only=True), folder)
