"""Batch prediction on Beam: workers classify the unfinished shards of a plan and write their files.

The target's `_plan` folder holds a list of photos per shard, and `plan.json`, written last. A second start resumes the
plan: a shard is finished when its prediction file exists.
"""

import dataclasses
import itertools
import json
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared
from tfx.dsl.io import fileio
from tfx.utils import io_utils

from components.common.errors import UserError, storage_errors
from components.common.progress import WorkerProgress, process_name
from components.contracts.serving_folder import names_in, path_in
from components.storage.atomic import remove_unfinished, write_atomically
from components.storage.objects import is_remote
from components.storage.tfx_filesystem import register_buckets
from pipeline.prediction.photo_inputs import PhotoInput, read_photo
from pipeline.prediction.prediction_files import FORMATS, to_unreadable
from pipeline.prediction.served_model import Classification, ServedModel

# Readers of folders (Spark, Arrow, pandas) skip names that begin with an underscore.
PLAN_FOLDER: Final = "_plan"
_PLAN_FILE: Final = f"{PLAN_FOLDER}/plan.json"
UNREADABLE_FILE: Final = "_unreadable.jsonl"
NOT_USED_FILE: Final = "_not_used.jsonl"
# A bucket answers many requests at once, each after tens of milliseconds.
_READERS: Final = 16
_AHEAD: Final = 32
_REPORT_EVERY: Final = 64


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """Input, model and shards of a batch."""

    input: str  # as the user named it
    model: str  # SavedModel folder
    served_from: str  # where workers load the model from
    format: str  # a key of `FORMATS`
    photos_per_file: int  # of every shard except the last
    photos: int = 0

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.photos // self.photos_per_file)

    def predictions_file(self, shard: int) -> str:
        """Returns the name of a shard's prediction file."""
        return f"predictions-{shard:05d}-of-{self.shards:05d}.{self.format}"

    def unreadable_file(self, shard: int) -> str:
        """Returns the name of the list of a shard's unreadable photos."""
        return f"{PLAN_FOLDER}/unreadable-{shard:05d}.jsonl"

    def to_do(self, target: str) -> list[int]:
        """Returns the unfinished shards."""
        there = set(names_in(target))
        return [shard for shard in range(self.shards) if self.predictions_file(shard) not in there]


def write_file(target: str, name: str, content: bytes) -> None:
    """Writes or replaces a file of the target in one step, or raises a UserError."""
    with storage_errors(f"cannot write to --to {target}"):
        write_atomically(path_in(target, name), content)


def read_file(target: str, name: str) -> bytes:
    """Returns the content of a file of the target."""
    with fileio.open(path_in(target, name), "rb") as file:
        content: bytes = file.read()
    return content


def read_plan(target: str) -> ShardPlan | None:
    """Returns the plan of an earlier start, or None; raises UserError if the target contains other files."""
    names = names_in(target)
    if PLAN_FOLDER not in names or "plan.json" not in names_in(path_in(target, PLAN_FOLDER)):
        if others := sorted(set(names) - {PLAN_FOLDER}):
            raise UserError(f"--to {target} contains other files ({others[0]}): choose an empty folder, or a new one")
        return None
    try:
        return ShardPlan(**json.loads(read_file(target, _PLAN_FILE)))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path_in(target, _PLAN_FILE)} is damaged ({error}): choose another --to") from error


def make_plan(target: str, photos: Iterable[str], plan: ShardPlan) -> ShardPlan:
    """Writes the lists of photos as they arrive, then the plan unless there are no photos.

    `plan` lacks the number of photos; returns the complete plan.
    """
    photos = iter(photos)
    total = 0
    for shard in itertools.count():
        part = list(itertools.islice(photos, plan.photos_per_file))
        if not part:
            break
        total += len(part)
        # JSON, because a name may contain line breaks, and bytes that are not UTF-8.
        write_file(target, _photos_file(shard), "\n".join(map(json.dumps, part)).encode())
    plan = dataclasses.replace(plan, photos=total)
    if total:
        write_file(target, _PLAN_FILE, json.dumps(dataclasses.asdict(plan), indent=2).encode())
    return plan


def photos_of(target: str, shard: int) -> list[str]:
    """Returns the photos of a shard."""
    return [json.loads(line) for line in read_file(target, _photos_file(shard)).decode().split("\n")]


def check_same(plan: ShardPlan, target: str, **asked: Any) -> None:
    """Raises UserError if a second start passes other values for the plan's attributes; None is not passed."""
    for name, value in asked.items():
        planned = getattr(plan, name)
        if value is not None and value != planned:
            option = f"--{name.replace('_', '-')}"
            raise UserError(
                f"--to {target} was started with {option} {planned}; you passed {value}: pass the same, or choose "
                "another --to"
            )


def _photos_file(shard: int) -> str:
    return f"{PLAN_FOLDER}/photos-{shard:05d}.jsonl"


@dataclasses.dataclass(frozen=True)
class BatchOutcome:
    """Numbers of classified and of unreadable photos."""

    predicted: int
    unreadable: int


class _Classifier:
    """The loaded model of a worker process, and its progress."""

    def __init__(self, model: str, total: int, launcher: str):
        register_buckets()
        self._model = _load(model)
        self._progress = WorkerProgress("Classifying photos", total, launcher, _REPORT_EVERY)

    def classify(self, photos: Sequence[str]) -> list[Classification]:
        answers = []
        for answer in self._model.classify(_read_ahead(photos)):
            answers.append(answer)
            self._progress.add()
        return answers


class ClassifyShardFn(beam.DoFn):
    """Classifies the photos of a shard and writes its files."""

    def __init__(self, target: str, plan: ShardPlan, total: int, shared: Shared):
        """Stores the arguments; `total` counts the photos of all workers, `shared` holds one model per process."""
        self._target = target
        self._plan = plan
        self._total = total
        self._launcher = process_name()
        self._shared = shared

    def setup(self) -> None:
        model = self._plan.served_from
        self._classifier = self._shared.acquire(lambda: _Classifier(model, self._total, self._launcher), tag=model)

    def process(self, shard: int) -> None:
        file = self._plan.predictions_file(shard)
        # Beam may assign a shard to a second worker.
        if fileio.exists(path_in(self._target, file)):
            return
        answers = self._classifier.classify(photos_of(self._target, shard))
        unreadable = [answer for answer in answers if answer.error is not None]
        write_file(self._target, self._plan.unreadable_file(shard), to_unreadable(unreadable))
        # Written last: this file marks the shard as finished.
        predictions = [answer for answer in answers if answer.error is None]
        write_file(self._target, file, FORMATS[self._plan.format](predictions))


def run_batch(target: str, plan: ShardPlan, args: Sequence[str]) -> BatchOutcome:
    """Classifies the unfinished shards of a plan and merges their lists of unreadable photos.

    `args` are Beam's pipeline options; returns the outcome for all photos of the plan.
    """
    shards = plan.to_do(target)
    if shards:
        total = sum(min(plan.photos_per_file, plan.photos - shard * plan.photos_per_file) for shard in shards)
        with beam.Pipeline(options=PipelineOptions(list(args))) as pipeline:
            _ = (
                pipeline
                | "Shards" >> beam.Create(shards, reshuffle=False)
                # Prevents fusion: shards are distributed over the workers.
                | "ShareOut" >> beam.Reshuffle()
                | "Classify" >> beam.ParDo(ClassifyShardFn(target, plan, total, Shared()))
            )
    with ThreadPoolExecutor(_READERS) as readers:
        listed = readers.map(lambda shard: read_file(target, plan.unreadable_file(shard)), range(plan.shards))
        lines = b"".join(listed)
    write_file(target, UNREADABLE_FILE, lines)
    # Files of killed workers; a bucket has none.
    if not is_remote(target):
        for folder in (target, path_in(target, PLAN_FOLDER)):
            remove_unfinished(Path(folder))
    unreadable = lines.count(b"\n")
    return BatchOutcome(plan.photos - unreadable, unreadable)


def stage_model(model: str, target: str) -> str:
    """Copies a SavedModel folder to a target in a bucket, where all workers can read it, and returns its location."""
    if not is_remote(target):
        return model
    copy = path_in(target, f"{PLAN_FOLDER}/model")
    io_utils.copy_dir(model, copy)
    return copy


def _load(model: str) -> ServedModel:
    if not is_remote(model):
        return ServedModel(Path(model))
    # TensorFlow reads gs:// itself, but not s3://.
    with tempfile.TemporaryDirectory() as folder:
        io_utils.copy_dir(model, f"{folder}/model")
        return ServedModel(Path(folder) / "model")


def _read_ahead(names: Iterable[str]) -> Iterator[PhotoInput]:
    """Yields photos in order; threads read ahead while earlier ones are classified."""
    with ThreadPoolExecutor(_READERS) as readers:
        pending: deque[Future[PhotoInput]] = deque()
        for name in names:
            pending.append(readers.submit(_read, name))
            if len(pending) > _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _read(name: str) -> PhotoInput:
    try:
        return read_photo(name)
    except UserError as error:
        raise UserError(f"{error}; finished files are kept; run the same command to resume") from error
