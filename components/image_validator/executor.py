"""Executor of ImageValidator: checks every photo, decides, and passes on the photos that stay.

A file of examples that stays as it is becomes a file of the output without being written again; only files with a photo
that does not stay are read once more.
"""

import dataclasses
import functools
import hashlib
import json
import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
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
from components.image_validator.duplicates import ExampleKey, GroupDuplicates, Photo
from components.photos.check import check_and_decode
from components.photos.perceptual_hashes import perceptual_hashes
from components.storage import examples_io
from components.storage.examples_io import ExamplesFile, read_file
from components.storage.shards import pass_on, read_shard, write_shard

logger = logging.getLogger(__name__)

_PHOTOS_PER_REPORT: Final = 100


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes the photos that stay, and stops the run when too many photos are unusable."""

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

        distance = exec_properties["near_duplicate_distance"]
        class_names = examples_io.class_names_of(source)
        sources, targets = examples_io.split_uris(source), examples_io.split_uris(target)
        files = examples_io.list_files(sources)
        check = CheckPhotoFn(class_names, _num_photos(source), with_hashes=distance > 0)
        write_quarantine = functools.partial(
            _write_quarantine, unused=f"{source.uri}/{LEFT_OUT_FILE}", splits=list(sources), class_names=class_names
        )
        with self._make_beam_pipeline() as pipeline:
            by_file = (
                pipeline
                | "FilesToCheck" >> beam.Create(files)
                | "ReadToCheck" >> beam.FlatMap(lambda file: ((file, example) for example in read_file(sources, file)))
                | "CheckPhotos" >> beam.ParDo(check)
            )
            photos = by_file | "WithoutFile" >> beam.Values()
            usable = photos | "KeepUsable" >> beam.Filter(lambda photo: photo.check.defect is None)
            groups = usable | "GroupDuplicates" >> GroupDuplicates(distance)
            decided = (
                photos | "DecideOnPhotos" >> beam.FlatMap(decisions.decide_on_photo),
                groups | "DecideOnDuplicates" >> beam.FlatMap(decisions.decide_on_duplicates),
            ) | "FlattenDecisions" >> beam.Flatten()
            entries = beam.pvalue.AsDict(decided)
            changed = by_file | "ChangedFiles" >> beam.FlatMap(_changed_file, entries) | beam.Distinct()
            _ = (
                pipeline
                | "FilesToPassOn" >> beam.Create(files)
                | "PassOn"
                >> beam.Map(_pass_on_file, sources, targets, changed=beam.pvalue.AsDict(changed), entries=entries)
            )
            counts = (
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
                >> beam.Map(write_quarantine, decided=beam.pvalue.AsIter(decided), counts=beam.pvalue.AsDict(counts))
            )

        with fileio.open(f"{quarantine.uri}/{SUMMARY_FILE}") as file:
            summary = from_json(QuarantineSummary, json.loads(file.read()))
        decisions.check_usable(summary, exec_properties["max_quarantine_share"])
        target.set_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY, json.dumps(summary.split_counts))
        target.set_string_custom_property(contracts.CLASS_COUNTS_PROPERTY, json.dumps(summary.class_counts))
        logger.info("%s", decisions.describe(summary))


def _num_photos(examples: types.Artifact) -> int:
    """Returns the number of photos; 0 when it is not known."""
    counts = examples.get_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY)
    return sum(json.loads(counts).values()) if counts else 0


class CheckPhotoFn(beam.DoFn):
    """Turns (file, serialized example) into (file, `Photo`).

    A missing image counts as an empty one, a missing label is -1: no single example may stop the run.
    """

    def __init__(self, class_names: Sequence[str], total: int, with_hashes: bool) -> None:
        """Stores the classes in label order, and the number of photos for the progress shown; 0 is unknown."""
        self._class_names, self._total, self._with_hashes = class_names, total, with_hashes
        self._launcher, self._shared = process_name(), Shared()

    def setup(self) -> None:
        self._progress = self._shared.acquire(
            lambda: WorkerProgress("Checking photos", self._total, self._launcher, _PHOTOS_PER_REPORT)
        )

    def process(self, element: tuple[ExamplesFile, bytes]) -> Iterator[tuple[ExamplesFile, Photo]]:
        file, serialized = element
        (split, example_id, digest), parsed, image = _parse_example(file[0], serialized)
        labels = parsed.features.feature[contracts.LABEL_KEY].int64_list.value
        label = labels[0] if labels else -1
        class_name = self._class_names[label] if 0 <= label < len(self._class_names) else str(label)
        check, pixels = check_and_decode(image)
        hashes = perceptual_hashes(image, pixels) if self._with_hashes and pixels is not None else None
        yield file, Photo(split, example_id, label, class_name, digest, check, hashes)
        self._progress.add()


def _parse_example(split: str, serialized: bytes) -> tuple[ExampleKey, tf.train.Example, bytes]:
    """Returns the key of a photo, its example, and its file; an empty one where there is none."""
    parsed = tf.train.Example.FromString(serialized)
    values = (parsed.features.feature[key].bytes_list.value for key in (contracts.IMAGE_KEY, contracts.ID_KEY))
    image, example_id = (next(iter(found), b"") for found in values)
    return (split, example_id, hashlib.sha256(image).digest()), parsed, image


def _changed_file(
    element: tuple[ExamplesFile, Photo], entries: Container[ExampleKey]
) -> Iterator[tuple[ExamplesFile, None]]:
    """Yields a photo's file, as a key, if the photo does not stay."""
    file, photo = element
    if photo.key in entries:
        yield file, None


def _pass_on_file(
    file: ExamplesFile,
    sources: Mapping[str, str],
    targets: Mapping[str, str],
    changed: Container[ExamplesFile],
    entries: Container[ExampleKey],
) -> None:
    """Makes a file part of the output: as it is, or without the examples that do not stay."""
    split, name = file
    source, target = f"{sources[split]}/{name}", f"{targets[split]}/{name}"
    if file in changed:
        staying = (example for example in read_shard(source) if _parse_example(split, example)[0] not in entries)
        write_shard(target, staying)
    else:
        pass_on(source, target)


def _write_quarantine(
    uri: str,
    *,
    unused: str,
    splits: Sequence[str],
    class_names: Sequence[str],
    decided: Iterable[decisions.Decision],
    counts: Mapping[decisions.CountKey, int],
) -> None:
    """Writes the listing and the summary; the listing ends with the files that TfdsExampleGen did not use."""
    in_order = sorted(decided, key=lambda decision: (splits.index(decision[1].split), decision[0]))
    listing = [entry for _, entry in in_order]
    if fileio.exists(unused):
        with fileio.open(unused) as file:
            listing += [from_json(QuarantineEntry, json.loads(line)) for line in file.read().splitlines()]
    summary = dataclasses.asdict(decisions.summarize(counts, listing, splits, class_names))
    fileio.makedirs(uri)
    with fileio.open(f"{uri}/{LISTING_FILE}", "w") as file:
        file.write("".join(json.dumps(dataclasses.asdict(entry), ensure_ascii=False) + "\n" for entry in listing))
    with fileio.open(f"{uri}/{SUMMARY_FILE}", "w") as file:
        file.write(json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
