"""Executor of ImageValidator: check every photo, decide, pass on what may stay.

Files of examples that stay as they are become files of the output without being written again; only those with a photo
that is left out or moved are read once more.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import tensorflow as tf
from apache_beam.utils.shared import Shared
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components import contracts
from components.common.progress import WorkerProgress, process_name
from components.common.records import from_json
from components.contracts.quarantine import (
    LEFT_OUT_FILE,
    LISTING_FILE,
    SUMMARY_FILE,
    QuarantineEntry,
    QuarantineSummary,
)
from components.image_validator import decisions
from components.image_validator.duplicates import GroupDuplicates, Photo, PhotoKey
from components.photos.check import Limits, check_image
from components.storage import examples_io
from components.storage.examples_io import ExamplesFile, read_file
from components.storage.shards import pass_on, read_shard, write_shard

FileExample = tuple[ExamplesFile, bytes]  # (file, serialized tf.Example)


def _path(uris: Mapping[str, str], file: ExamplesFile) -> str:
    split, name = file
    return f"{uris[split]}/{name}"


class ReadFileFn(beam.DoFn):
    """Reads files as (file, serialized tf.Example)."""

    def __init__(self, uris: Mapping[str, str]) -> None:
        self._uris = uris

    def process(self, file: ExamplesFile) -> Iterator[FileExample]:
        for serialized in read_file(self._uris, file):
            yield file, serialized


class PassOnFn(beam.DoFn):
    """Makes files part of the output: as they are, or without the examples that do not stay in their split.

    Examples that move come into a file of their own.
    """

    def __init__(self, sources: Mapping[str, str], targets: Mapping[str, str]) -> None:
        self._sources, self._targets = sources, targets

    def process(
        self, file: ExamplesFile, changed: Mapping[ExamplesFile, None], entries: Mapping[PhotoKey, QuarantineEntry]
    ) -> None:
        path = _path(self._sources, file)
        if file not in changed:
            pass_on(path, _path(self._targets, file))
            return
        split, name = file
        moved: dict[str, list[bytes]] = {}

        def staying() -> Iterator[bytes]:
            for serialized in read_shard(path):
                target = decisions.output_split(split, entries.get(parse_example(split, serialized)[0]))
                if target == split:
                    yield serialized
                elif target:
                    moved.setdefault(target, []).append(serialized)

        write_shard(_path(self._targets, file), staying())
        for target, examples in moved.items():
            stem, _, ending = name.partition("-")
            write_shard(_path(self._targets, (target, f"{stem}-from-{split}-{ending}")), examples)


def parse_example(split: str, serialized: bytes) -> tuple[PhotoKey, tf.train.Example, bytes]:
    """Returns the key of a photo, its example, and the file that it was; an empty one where there is none."""
    parsed = tf.train.Example.FromString(serialized)
    image = _first_bytes(parsed, contracts.IMAGE_KEY)
    return (split, _first_bytes(parsed, contracts.ID_KEY), hashlib.sha256(image).digest()), parsed, image


def _first_bytes(example: tf.train.Example, key: str) -> bytes:
    values = example.features.feature[key].bytes_list.value
    return values[0] if values else b""


def changed_file(
    element: tuple[ExamplesFile, Photo], entries: Mapping[PhotoKey, QuarantineEntry]
) -> Iterator[tuple[ExamplesFile, None]]:
    """Yields a photo's file, as a key, if the photo does not stay in its split."""
    file, photo = element
    if decisions.output_split(photo.split, entries.get(photo.key)) != photo.split:
        yield file, None


logger = logging.getLogger(__name__)


_PHOTOS_PER_REPORT: Final = 100


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes the photos that may stay, and stops the run when too much of the data is unusable."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        source = artifact_utils.get_single_instance(input_dict["examples"])
        target = artifact_utils.get_single_instance(output_dict["valid_examples"])
        quarantine = artifact_utils.get_single_instance(output_dict["quarantine"])
        target.split_names = source.split_names
        examples_io.copy_dataset_properties(source, target)
        counts = source.get_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY)
        num_photos: dict[str, int] = json.loads(counts) if counts else {}
        splits, class_names = examples_io.splits_of(source), examples_io.class_names_of(source)
        check_photo = CheckPhotoFn(
            Limits(exec_properties["max_bytes"], exec_properties["max_pixels"]), class_names, sum(num_photos.values())
        )
        sources = examples_io.split_uris(source)
        files = examples_io.list_files(sources)
        with self._make_beam_pipeline() as pipeline:
            by_file = (
                pipeline
                | "FilesToCheck" >> beam.Create(files)
                | "ReadToCheck" >> beam.ParDo(ReadFileFn(sources))
                | "CheckPhotos" >> beam.ParDo(check_photo)
            )
            photos = by_file | "WithoutFile" >> beam.Values()
            groups = _group_duplicates(photos, exec_properties["near_duplicate_distance"])
            policy = decisions.CrossSplitDuplicates(exec_properties["cross_split_duplicates"])
            decided = (
                photos | "DecideOnPhotos" >> beam.FlatMap(decisions.decide_on_photo),
                groups | "DecideOnDuplicates" >> beam.FlatMap(decisions.decide_on_duplicates, policy),
            ) | "FlattenDecisions" >> beam.Flatten()
            entries = beam.pvalue.AsDict(decided)
            changed = by_file | "ChangedFiles" >> beam.FlatMap(changed_file, entries) | beam.Distinct()
            _ = (
                pipeline
                | "FilesToPassOn" >> beam.Create(files)
                | "PassOn"
                >> beam.ParDo(
                    PassOnFn(sources, examples_io.split_uris(target)),
                    changed=beam.pvalue.AsDict(changed),
                    entries=entries,
                )
            )
            sums = (
                (
                    photos | "CountPhotos" >> beam.FlatMap(decisions.count_photo, entries),
                    groups | "CountKeptDuplicates" >> beam.FlatMap(decisions.count_kept_duplicates, entries),
                )
                | "FlattenCounts" >> beam.Flatten()
                | "SumCounts" >> beam.CombinePerKey(sum)
            )
            _ = (
                pipeline
                | "Once" >> beam.Create([quarantine.uri])
                | "WriteQuarantine"
                >> beam.Map(
                    _write_quarantine,
                    left_out=f"{source.uri}/{LEFT_OUT_FILE}",
                    decided=beam.pvalue.AsIter(decided),
                    counts=beam.pvalue.AsDict(sums),
                    splits=splits,
                    class_names=class_names,
                )
            )
        with fileio.open(f"{quarantine.uri}/{SUMMARY_FILE}") as file:
            summary = from_json(QuarantineSummary, json.loads(file.read()))
        decisions.check_usable(summary, exec_properties["max_quarantine_share"])
        target.set_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY, json.dumps(summary.split_counts))
        target.set_string_custom_property(contracts.CLASS_COUNTS_PROPERTY, json.dumps(summary.class_counts))
        logger.info("%s", decisions.describe(summary))


class CheckPhotoFn(beam.DoFn):
    """Turns (file, serialized example) into (file, `Photo`).

    A missing image counts as an empty one, a missing label is -1: no single example may stop the run.
    """

    def __init__(self, limits: Limits, class_names: Sequence[str], total: int) -> None:
        """Remembers how to check.

        Args:
            limits: How large a photo may be.
            class_names: The classes in label order.
            total: Number of photos for the progress shown, 0 when it is not known.
        """
        self._limits = limits
        self._class_names = class_names
        self._total = total
        self._launcher = process_name()
        self._shared = Shared()

    def setup(self) -> None:
        self._progress = self._shared.acquire(
            lambda: WorkerProgress("Checking photos", self._total, self._launcher, _PHOTOS_PER_REPORT)
        )

    def process(self, element: FileExample) -> Iterator[tuple[examples_io.ExamplesFile, Photo]]:
        file, serialized = element
        (split, example_id, digest), parsed, image = parse_example(file[0], serialized)
        labels = parsed.features.feature[contracts.LABEL_KEY].int64_list.value
        label = labels[0] if labels else -1
        class_name = self._class_names[label] if 0 <= label < len(self._class_names) else str(label)
        yield file, Photo(split, example_id, label, class_name, digest, check_image(image, self._limits))
        self._progress.add()


def _group_duplicates(photos: beam.PCollection, near_duplicate_distance: int) -> beam.PCollection:
    if near_duplicate_distance < 0:
        return photos.pipeline | "NoGroups" >> beam.Create([])
    usable = photos | "KeepUsable" >> beam.Filter(lambda photo: photo.check.defect is None)
    return usable | "GroupDuplicates" >> GroupDuplicates(near_duplicate_distance)


def _write_quarantine(
    uri: str,
    *,
    left_out: str,
    decided: Iterable[decisions.Decision],
    counts: Mapping[decisions.CountKey, int],
    splits: Sequence[str],
    class_names: Sequence[str],
) -> None:
    by_split_and_id = sorted(decided, key=lambda decision: (splits.index(decision[1].split), decision[0]))
    listing = [entry for _, entry in by_split_and_id] + _read_listing(left_out)
    summary = dataclasses.asdict(decisions.summarize(counts, listing, splits, class_names))
    lines = [json.dumps(dataclasses.asdict(entry), ensure_ascii=False) + "\n" for entry in listing]
    fileio.makedirs(uri)
    with fileio.open(f"{uri}/{LISTING_FILE}", "w") as file:
        file.write("".join(lines))
    with fileio.open(f"{uri}/{SUMMARY_FILE}", "w") as file:
        file.write(json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _read_listing(path: str) -> list[QuarantineEntry]:
    """Reads lines of the quarantine listing; sources without folders have no such file."""
    if not fileio.exists(path):
        return []
    with fileio.open(path) as file:
        return [from_json(QuarantineEntry, json.loads(line)) for line in file.read().splitlines()]
