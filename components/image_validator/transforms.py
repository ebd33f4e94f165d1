"""The Beam pipeline of ImageValidator: look at every photo, judge, write what may stay.

Examples are read twice, once to look and once to write, so that no runner has to hold the photos while the verdicts are
found.
"""

import dataclasses
from collections.abc import Sequence

import apache_beam as beam

from components.image_validator.counting import count_kept_duplicates, count_photo
from components.image_validator.duplicates import GroupDuplicates
from components.image_validator.inspection import Limits
from components.image_validator.listing import write_quarantine
from components.image_validator.split_io import InspectPhotoFn, ReadSplits, Split, WriteSplits
from components.image_validator.verdicts import CrossSplitDuplicates, judge_duplicates, judge_photo


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
            | "ReadToInspect" >> ReadSplits(self._splits)
            | "InspectPhotos"
            >> beam.ParDo(InspectPhotoFn(self._options.limits, sum(split.num_photos for split in self._splits)))
        )
        groups = _find_groups(photos, self._options.near_duplicate_distance)
        verdicts = (
            photos | "JudgePhotos" >> beam.FlatMap(judge_photo),
            groups | "JudgeDuplicates" >> beam.FlatMap(judge_duplicates, self._options.cross_split_duplicates),
        ) | "FlattenVerdicts" >> beam.Flatten()
        verdict_of = beam.pvalue.AsDict(
            verdicts | "KeyByPhoto" >> beam.Map(lambda verdict: (verdict.photo.key, verdict))
        )
        _ = (
            pipeline
            | "ReadToWrite" >> ReadSplits(self._splits)
            | "WriteSplits" >> WriteSplits(self._splits, verdict_of)
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
                write_quarantine,
                verdicts=beam.pvalue.AsIter(verdicts),
                counts=beam.pvalue.AsDict(counts),
                splits=[split.name for split in self._splits],
                class_names=self._class_names,
            )
        )


def _find_groups(photos: beam.PCollection, near_duplicate_distance: int) -> beam.PCollection:
    if near_duplicate_distance < 0:
        return photos.pipeline | "NoGroups" >> beam.Create([])
    return (
        photos
        | "KeepUsable" >> beam.Filter(lambda photo: photo.inspection.finding is None)
        | "GroupDuplicates" >> GroupDuplicates(near_duplicate_distance)
    )
