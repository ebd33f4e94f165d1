"""Between serialized examples in splits and the records of `photo`."""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import apache_beam as beam
import tensorflow as tf
from apache_beam.utils.shared import Shared

from components.common.contracts import ID_KEY, IMAGE_KEY, LABEL_KEY
from components.common.examples_io import KeyedExample, ReadExamples, WriteExamples, shards_for
from components.common.progress import report_progress
from components.image_validator.counting import output_split
from components.image_validator.inspection import Limits, inspect
from components.image_validator.photo import Photo, PhotoKey, Verdict

SplitExample = tuple[str, bytes]  # (split, serialized tf.Example)

_PHOTOS_PER_REPORT: Final = 100


@dataclasses.dataclass(frozen=True)
class Split:
    """Where a split is read and written.

    Attributes:
        name: Such as "train".
        input_uri: Folder it is read from.
        output_uri: Folder it is written to.
        num_photos: Photos in it, 0 when that is not known.
    """

    name: str
    input_uri: str
    output_uri: str
    num_photos: int


class _Progress:
    """Counts the photos of one worker process, whose threads share it."""

    def __init__(self, total: int) -> None:
        self._numbers = itertools.count(1)
        self._total = total

    def advance(self) -> None:
        number = next(self._numbers)
        if number % _PHOTOS_PER_REPORT == 0 or number == self._total:
            report_progress("Checking photos", number, self._total or None)


class InspectPhotoFn(beam.DoFn):
    """Turns examples into records of what their photos are.

    A missing image counts as an empty one, a missing label is -1: no single example may stop the run.
    """

    def __init__(self, limits: Limits, total: int) -> None:
        """Remembers how to inspect.

        Args:
            limits: How large a photo may be.
            total: Number of photos for the progress shown, 0 when it is not known.
        """
        self._limits = limits
        self._total = total
        self._shared = Shared()

    def setup(self) -> None:
        self._progress = self._shared.acquire(lambda: _Progress(self._total))

    def process(self, element: SplitExample) -> Iterator[Photo]:
        (split, example_id, digest), parsed, image = _parse(element)
        labels = parsed.features.feature[LABEL_KEY].int64_list.value
        yield Photo(split, example_id, labels[0] if labels else -1, digest, inspect(image, self._limits))
        self._progress.advance()


class ReadSplits(beam.PTransform):
    """Reads all splits as (split, serialized tf.Example)."""

    def __init__(self, splits: Sequence[Split]) -> None:
        """Remembers what to read.

        Args:
            splits: The splits of the examples.
        """
        super().__init__()
        self._splits = splits

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        return [
            pbegin.pipeline
            | f"ReadSplit[{split.name}]" >> ReadExamples(split.input_uri)
            | f"TagSplit[{split.name}]" >> beam.Map(lambda serialized, name=split.name: (name, serialized))
            for split in self._splits
        ] | beam.Flatten()


class WriteSplits(beam.PTransform):
    """Writes the examples that may stay to the split where they may."""

    def __init__(self, splits: Sequence[Split], verdict_of: beam.pvalue.AsDict) -> None:
        """Remembers where to write.

        Args:
            splits: The splits of the examples.
            verdict_of: All verdicts, by the key of their photo.
        """
        super().__init__()
        self._splits = splits
        self._verdict_of = verdict_of

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        names = [split.name for split in self._splits]
        by_split = (
            examples
            | "ChooseSplit" >> beam.FlatMap(_to_output_split, self._verdict_of)
            | "PartitionBySplit" >> beam.Partition(lambda example, _: names.index(example[0]), len(names))
        )
        return [
            examples_of_split
            | f"DropSplitName[{split.name}]" >> beam.Map(lambda example: example[1])
            | f"WriteSplit[{split.name}]" >> WriteExamples(split.output_uri, shards_for(split.num_photos))
            for split, examples_of_split in zip(self._splits, by_split, strict=True)
        ] | "FlattenPaths" >> beam.Flatten()


def _parse(example: SplitExample) -> tuple[PhotoKey, tf.train.Example, bytes]:
    split, serialized = example
    parsed = tf.train.Example.FromString(serialized)
    image = _first_bytes(parsed, IMAGE_KEY)
    return (split, _first_bytes(parsed, ID_KEY), hashlib.sha256(image).digest()), parsed, image


def _first_bytes(example: tf.train.Example, key: str) -> bytes:
    values = example.features.feature[key].bytes_list.value
    return values[0] if values else b""


def _to_output_split(
    example: SplitExample, verdict_of: Mapping[PhotoKey, Verdict]
) -> Iterator[tuple[str, KeyedExample]]:
    key, _, _ = _parse(example)
    split = output_split(example[0], verdict_of.get(key))
    if split:
        yield split, (key[1], example[1])
