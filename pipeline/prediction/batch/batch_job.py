"""A batch on Beam: every shard that is not finished is classified by some worker, which writes its files."""

import dataclasses
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared
from tfx.dsl.io import fileio
from tfx.utils import io_utils

from components.common.errors import UserError
from components.common.progress import WorkerProgress, process_name
from components.contracts.serving_folder import path_in
from components.storage.objects import is_remote
from components.storage.tfx_filesystem import register_buckets
from pipeline.prediction.batch.prediction_files import FORMATS, to_unreadable
from pipeline.prediction.batch.shard_plan import ShardPlan, photos_of, read_file, remove_leftovers, write_file
from pipeline.prediction.photo_inputs import PhotoInput, read_photo
from pipeline.prediction.served_model import Classification, ServedModel

UNREADABLE_FILE: Final = "_unreadable.jsonl"
# A bucket answers many requests at once, each after tens of milliseconds.
_READERS: Final = 16
_AHEAD: Final = 32
_REPORT_EVERY: Final = 64


@dataclasses.dataclass(frozen=True)
class BatchOutcome:
    """What became of the photos."""

    predicted: int
    unreadable: int


class _Classifier:
    """The model of a worker process, loaded, and how many photos it has seen."""

    def __init__(self, model: str, total: int, launcher: str):
        register_buckets()
        self._model = _load(model)
        self._progress = WorkerProgress("Classifying photos", total, launcher, _REPORT_EVERY)

    def classify(self, photos: Sequence[str]) -> list[Classification]:
        answers: list[Classification] = []
        for answer in self._model.classify(_read_ahead(photos)):
            answers.append(answer)
            self._progress.add()
        return answers


class ClassifyShardFn(beam.DoFn):
    """Classifies the photos of a shard, and writes its files."""

    def __init__(self, target: str, plan: ShardPlan, total: int, shared: Shared):
        """Remembers what to do.

        Args:
            target: Where the plan is, and the files go.
            plan: The plan.
            total: Photos that all workers have to do.
            shared: Handle to the worker process's one model.
        """
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
        # Beam may give a shard to a second worker.
        if fileio.exists(path_in(self._target, file)):
            return
        answers = self._classifier.classify(photos_of(self._target, shard))
        unreadable = [answer for answer in answers if answer.error is not None]
        write_file(self._target, self._plan.unreadable_file(shard), to_unreadable(unreadable))
        # Last, for with it the shard is finished.
        predictions = [answer for answer in answers if answer.error is None]
        write_file(self._target, file, FORMATS[self._plan.format](predictions))


def run_batch(target: str, plan: ShardPlan, args: Sequence[str]) -> BatchOutcome:
    """Classifies what is not finished, and puts the lists of unreadable photos together.

    Args:
        target: Where the plan is, and the files go.
        plan: The plan.
        args: Beam's pipeline options.

    Returns:
        What became of all photos of the plan.
    """
    shards = plan.to_do(target)
    if shards:
        total = sum(map(plan.size_of, shards))
        with beam.Pipeline(options=PipelineOptions(list(args))) as pipeline:
            _ = (
                pipeline
                | "Shards" >> beam.Create(shards, reshuffle=False)
                # What workers share out are shards, whatever came together before.
                | "ShareOut" >> beam.Reshuffle()
                | "Classify" >> beam.ParDo(ClassifyShardFn(target, plan, total, Shared()))
            )
    with ThreadPoolExecutor(_READERS) as readers:
        listed = readers.map(lambda shard: read_file(target, plan.unreadable_file(shard)), range(plan.shards))
        lines = b"".join(listed)
    write_file(target, UNREADABLE_FILE, lines)
    remove_leftovers(target)
    unreadable = lines.count(b"\n")
    return BatchOutcome(plan.photos - unreadable, unreadable)


def stage_model(model: str, target: str) -> str:
    """Puts a model where workers on other machines can read it.

    Args:
        model: A SavedModel folder on this machine.
        target: Where predictions go.

    Returns:
        A copy of it below a target in a bucket; else `model` itself.
    """
    if not is_remote(target):
        return model
    copy = path_in(target, "_plan/model")
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
    """Yields photos in order, read by threads while the earlier ones are classified."""
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
        raise UserError(f"{error}; what is finished is kept, and the same command goes on from there") from error
