"""Executor of ImageValidator: checks every photo, decides, and passes on the photos that stay.

Only files with an excluded photo are read and written again; the others become files of the output as they are.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import tensorflow as tf
from apache_beam.transforms.combiners import SingleInputTupleCombineFn
from apache_beam.utils.shared import Shared
from PIL import Image
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
    Action,
    QuarantineEntry,
    QuarantineSummary,
)
from components.image_validator import appearance, decisions
from components.image_validator.duplicates import ExampleKey, GroupDuplicates, Photo, perceptual_hashes
from components.photos.check import check_and_decode
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
        with self._make_beam_pipeline() as pipeline:
            photos_of_files = _check_photos(pipeline, source, with_hashes=distance > 0)
            photos = photos_of_files | "WithoutFile" >> beam.Values()
            groups = photos | "GroupDuplicates" >> GroupDuplicates(distance)
            decided = _decide(photos, groups)
            excluded = beam.pvalue.AsDict(
                decided | "KeepExcluding" >> beam.Filter(lambda decision: decision[1].action is not Action.REPORTED)
            )
            _pass_on(photos_of_files, source, target, excluded)
            _list_and_count(decided, _count(photos, groups, excluded), _find_odd(photos, excluded), source, quarantine)

        with fileio.open(f"{quarantine.uri}/{SUMMARY_FILE}") as file:
            summary = from_json(QuarantineSummary, json.loads(file.read()))
        decisions.check_usable(summary, exec_properties["max_quarantine_share"])
        target.set_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY, json.dumps(summary.split_counts))
        target.set_string_custom_property(contracts.CLASS_COUNTS_PROPERTY, json.dumps(summary.class_counts))
        logger.info("%s", decisions.describe(summary))
        if line := appearance.describe(summary.odd_looking):
            logger.info("%s", line)
        for line in decisions.describe_reported(summary):
            logger.warning("%s", line)


def _check_photos(pipeline: beam.Pipeline, source: types.Artifact, with_hashes: bool) -> beam.PCollection:
    """Returns (file, `Photo`) of all examples."""
    folders = examples_io.split_uris(source)
    counts = source.get_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY)
    total = sum(json.loads(counts).values()) if counts else 0
    return (
        pipeline
        | "FilesToCheck" >> beam.Create(examples_io.list_files(folders))
        | "ReadToCheck" >> beam.FlatMap(lambda file: ((file, example) for example in read_file(folders, file)))
        | "CheckPhotos" >> beam.ParDo(CheckPhotoFn(examples_io.class_names_of(source), total, with_hashes))
    )


def _decide(photos: beam.PCollection, groups: beam.PCollection) -> beam.PCollection:
    on_photos = photos | "DecideOnPhotos" >> beam.FlatMap(decisions.decide_on_photo)
    on_duplicates = groups | "DecideOnDuplicates" >> beam.FlatMap(decisions.decide_on_duplicates)
    places = {
        "Photos": photos | "PlaceOfPhoto" >> beam.Map(lambda photo: (photo.split, photo.label)),
        "Near": on_duplicates | "PlaceOfNear" >> beam.FlatMap(decisions.place_of_near_duplicate),
    }
    counts = [
        beam.pvalue.AsDict(found | f"Count{name}PerClass" >> beam.combiners.Count.PerElement())
        for name, found in places.items()
    ]
    on_duplicates |= "KeepMost" >> beam.Map(decisions.keep_most, *counts)
    return (on_photos, on_duplicates) | "FlattenDecisions" >> beam.Flatten()


def _pass_on(
    photos_of_files: beam.PCollection, source: types.Artifact, target: types.Artifact, excluded: beam.pvalue.AsDict
) -> None:
    """Makes every file part of the output, without the photos in `excluded`."""
    folders, target_folders = examples_io.split_uris(source), examples_io.split_uris(target)
    changed = (
        photos_of_files
        | "KeepExcluded" >> beam.Filter(lambda element, excluded: element[1].key in excluded, excluded)
        | "FileAsKey" >> beam.Map(lambda element: (element[0], None))
        | "ChangedFiles" >> beam.Distinct()
    )
    _ = (
        photos_of_files.pipeline
        | "FilesToPassOn" >> beam.Create(examples_io.list_files(folders))
        | "PassOn" >> beam.Map(_pass_on_file, folders, target_folders, beam.pvalue.AsDict(changed), excluded)
    )


def _count(photos: beam.PCollection, groups: beam.PCollection, excluded: beam.pvalue.AsDict) -> beam.PCollection:
    of_photos = photos | "CountPhotos" >> beam.FlatMap(decisions.count_photo, excluded)
    of_groups = groups | "CountKeptDuplicates" >> beam.FlatMap(decisions.count_kept_duplicates, excluded)
    return (of_photos, of_groups) | "FlattenCounts" >> beam.Flatten() | "SumCounts" >> beam.CombinePerKey(sum)


def _find_odd(photos: beam.PCollection, excluded: beam.pvalue.AsDict) -> beam.PCollection:
    """Returns (`Kind`, `Found`); the examples are those with the smallest SHA-256, which is as good as random."""
    number_and_some = SingleInputTupleCombineFn(
        beam.combiners.CountCombineFn(), beam.combiners.TopCombineFn(appearance.EXAMPLES_PER_KIND, reverse=True)
    )
    return (
        photos
        | "FindKinds" >> beam.FlatMap(decisions.find_kinds, excluded)
        | "CountKinds" >> beam.CombinePerKey(number_and_some)
    )


def _list_and_count(
    decided: beam.PCollection,
    counts: beam.PCollection,
    found: beam.PCollection,
    source: types.Artifact,
    quarantine: types.Artifact,
) -> None:
    """Writes the listing and the summary."""
    write = beam.Map(
        _write_quarantine,
        unused=f"{source.uri}/{LEFT_OUT_FILE}",
        splits=examples_io.splits_of(source),
        class_names=examples_io.class_names_of(source),
        decided=beam.pvalue.AsIter(decided),
        counts=beam.pvalue.AsDict(counts),
        found=beam.pvalue.AsDict(found),
    )
    _ = decided.pipeline | "Once" >> beam.Create([quarantine.uri]) | "WriteQuarantine" >> write


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
        photo = Photo(split, example_id, label, class_name, digest, check)
        if pixels is not None:
            picture = Image.fromarray(pixels)
            hashes = perceptual_hashes(image, picture) if self._with_hashes else None
            photo = dataclasses.replace(photo, hashes=hashes, looks=appearance.measure(image, picture))
        yield file, photo
        self._progress.add()


def _parse_example(split: str, serialized: bytes) -> tuple[ExampleKey, tf.train.Example, bytes]:
    """Returns the key of a photo, its example, and its file, which is empty if missing."""
    parsed = tf.train.Example.FromString(serialized)
    values = (parsed.features.feature[key].bytes_list.value for key in (contracts.IMAGE_KEY, contracts.ID_KEY))
    image, example_id = (next(iter(found), b"") for found in values)
    return (split, example_id, hashlib.sha256(image).digest()), parsed, image


def _pass_on_file(
    file: ExamplesFile,
    sources: Mapping[str, str],
    targets: Mapping[str, str],
    changed: Container[ExamplesFile],
    excluded: Container[ExampleKey],
) -> None:
    """Makes a file part of the output: as it is, or without the excluded examples."""
    split, name = file
    source, target = f"{sources[split]}/{name}", f"{targets[split]}/{name}"
    if file in changed:
        staying = (example for example in read_shard(source) if _parse_example(split, example)[0] not in excluded)
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
    found: Mapping[appearance.Kind, appearance.Found],
) -> None:
    """Writes the listing, which ends with the files that TfdsExampleGen did not use, and the summary."""
    in_order = sorted(decided, key=lambda decision: (splits.index(decision[1].split), decision[0]))
    listing = [entry for _, entry in in_order]
    if fileio.exists(unused):
        with fileio.open(unused) as file:
            listing += [from_json(QuarantineEntry, json.loads(line)) for line in file.read().splitlines()]
    odd_looking = appearance.summarize(found)
    summary = dataclasses.asdict(decisions.summarize(counts, listing, splits, class_names, odd_looking))
    fileio.makedirs(uri)
    with fileio.open(f"{uri}/{LISTING_FILE}", "w") as file:
        file.write("".join(json.dumps(dataclasses.asdict(entry), ensure_ascii=False) + "\n" for entry in listing))
    with fileio.open(f"{uri}/{SUMMARY_FILE}", "w") as file:
        file.write(json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
