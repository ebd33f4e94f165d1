"""The Beam pipeline of ImageValidator: look at every photo, judge, write what may stay.

Called by `executor.Executor`. Examples are read twice, once to look and once to write, so that no runner has to hold
the photos while the verdicts are found.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.dsl.io import fileio

from components.constants import ID_KEY, IMAGE_KEY, LABEL_KEY
from components.image_validator.artifacts import LISTING_FILE, SUMMARY_FILE
from components.image_validator.counting import (
    CountKey,
    class_name,
    count_kept_duplicates,
    count_photo,
    make_summary,
    output_split,
)
from components.image_validator.duplicates import GroupDuplicates
from components.image_validator.inspection import Limits, inspect
from components.image_validator.photo import Photo, PhotoKey, Verdict, printable_id
from components.image_validator.verdicts import CrossSplitDuplicates, judge_duplicates, judge_photo
from components.util.examples_io import KeyedExample, ReadExamples, WriteExamples

@dataclasses.dataclass(frozen=True)
class Options:
    """How photos are judged; see `component.ImageValidator`."""

    limits: Limits
    cross_split_duplicates: CrossSplitDuplicates
    near_duplicate_distance: int


class ValidatePhotos(beam.PTransform):
    """Validates all splits: writes the examples that may stay, the listing of the others, and the summary."""

    def __init__(
        self, splits: Sequence[Split], quarantine_uri: str, class_names: Sequence[str], options: Options
    ) -> None:
        """Remembers what to do.

        Args:
            splits: The splits of the examples.
            quarantine_uri: Folder for the listing and the summary.
            class_names: The classes in label order.
            options: How photos are judged.
        """
        super().__init__()
        self._splits = splits
        self._quarantine_uri = quarantine_uri
        self._class_names = class_names
        self._options = options

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        pipeline = pbegin.pipeline
        photos = (
            pipeline
            | "ReadToInspect" >> _ReadSplits(self._splits)
            | "InspectPhotos" >> beam.Map(_to_photo, self._options.limits)
        )
        groups, verdicts = photos | "JudgePhotos" >> JudgePhotos(self._options)
        verdict_of = beam.pvalue.AsDict(
            verdicts | "KeyByPhoto" >> beam.Map(lambda verdict: (verdict.photo.key, verdict))
        )
        _ = (
            pipeline
            | "ReadToWrite" >> _ReadSplits(self._splits)
            | "WriteSplits" >> _WriteSplits(self._splits, verdict_of)
        )
        counts = (
            (
                photos | "CountPhotos" >> beam.FlatMap(count_photo, verdict_of),
                groups | "CountKeptDuplicates" >> beam.FlatMap(count_kept_duplicates, verdict_of),
            )
            | "FlattenCounts" >> beam.Flatten()
            | "SumCounts" >> beam.CombinePerKey(sum)
        )
        return (
            pipeline
            | "Once" >> beam.Create([self._quarantine_uri])
            | "WriteQuarantine"
            >> beam.Map(
                _write_quarantine,
                verdicts=beam.pvalue.AsIter(verdicts),
                counts=beam.pvalue.AsDict(counts),
                splits=[split.name for split in self._splits],
                class_names=self._class_names,
            )
        )


class JudgePhotos(beam.PTransform):
    """Turns photos into groups of duplicates and verdicts on the photos that do not simply pass."""

    def __init__(self, options: Options) -> None:
        """Remembers how to judge.

        Args:
            options: How photos are judged.
        """
        super().__init__()
        self._options = options

    def expand(self, photos: beam.PCollection) -> tuple[beam.PCollection, beam.PCollection]:
        unusable = photos | "JudgeEach" >> beam.FlatMap(judge_photo)
        if self._options.near_duplicate_distance < 0:
            return photos.pipeline | "NoGroups" >> beam.Create([]), unusable
        groups = (
            photos
            | "KeepUsable" >> beam.Filter(lambda photo: photo.inspection.finding is None)
            | "GroupDuplicates" >> GroupDuplicates(self._options.near_duplicate_distance)
        )
        clashing = groups | "JudgeDuplicates" >> beam.FlatMap(judge_duplicates, self._options.cross_split_duplicates)
        return groups, (unusable, clashing) | "FlattenVerdicts" >> beam.Flatten()


