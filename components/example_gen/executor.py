"""Executor of TfdsExampleGen."""

import dataclasses
import functools
import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import tensorflow as tf
import tensorflow_datasets as tfds
from tfx import types
from tfx.components.example_gen import base_example_gen_executor, write_split
from tfx.components.util import examples_utils
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from components import contracts
from components.common.errors import UserError
from components.common.text import first_few
from components.contracts.quarantine import LEFT_OUT_FILE, QuarantineEntry
from components.example_gen import data_source
from components.example_gen.corrections import check_applied, correct_splits, write_listing
from components.example_gen.options import DataSource
from components.example_gen.photo_reading import ListPhotos, ReadPhotos
from components.example_gen.tfds_dataset import TfdsToExamples, prepare_dataset
from components.photos.corrections import match_classes
from components.photos.splits import describe_unused_fractions, split_slices
from components.storage import examples_io
from components.storage.objects import is_remote

logger = logging.getLogger(__name__)

CLASS_COUNTS_FILE: Final = "class_counts.json"
# Few for evaluation: ImageValidator writes a file again without a photo that is also in train.
_PHOTOS_PER_SHARD: Final = {contracts.TRAIN_SPLIT: 32, contracts.VALIDATION_SPLIT: 8, contracts.TEST_SPLIT: 8}


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """Lets the base class split the examples of a source, and writes them."""

    _to_examples: Callable[[dict[str, Any], str], beam.PTransform]

    def GetInputSourceToExamplePTransform(self) -> Any:
        return self._to_examples

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        names = [field.name for field in dataclasses.fields(DataSource)]
        fractions = tuple(json.loads(exec_properties["split_fractions"]))
        source = DataSource(**{name: exec_properties[name] for name in names} | {"split_fractions": fractions})
        write = self._write_own_photos if source.photos else self._write_dataset
        write(source, examples, exec_properties)

    def _write_own_photos(self, source: DataSource, examples: types.Artifact, exec_properties: dict[str, Any]) -> None:
        photos = data_source.find_photos(source)
        description = data_source.describe_photos(photos)
        _check_unchanged(description, exec_properties)
        if source.split_method == "hash":
            _check_one_split(photos.photo_set.name, photos.splits)
        self._to_examples = lambda _, split: ListPhotos(photos, split)
        files = photos.photo_set.files
        read = ReadPhotos(len(files), remote=any(is_remote(photo.file) for photo in files))
        unused = [file.to_entry() for file in photos.photo_set.unused_files]
        self._write(source, examples, description, len(files), exec_properties, unused=unused, finish=read)

    def _write_dataset(self, source: DataSource, examples: types.Artifact, exec_properties: dict[str, Any]) -> None:
        builder = data_source.make_builder(source)
        _check_unchanged(data_source.describe_builder(builder), exec_properties)
        prepared = prepare_dataset(builder)
        self._to_examples = functools.partial(TfdsToExamples, prepared)
        # Some datasets know the names of their classes only now.
        description, total = data_source.describe_builder(builder), prepared.info.splits.total_num_examples
        self._write(source, examples, description, total, _with_slices(source, exec_properties, prepared))
        if known := prepared.info.redistribution_info.license:
            examples.set_string_custom_property(contracts.DATASET_LICENSE_PROPERTY, known)

    def _write(
        self,
        source: DataSource,
        examples: types.Artifact,
        description: data_source.SourceDescription,
        total: int,
        exec_properties: dict[str, Any],
        *,
        unused: Sequence[QuarantineEntry] = (),
        finish: examples_io.Finish | None = None,
    ) -> None:
        """Writes every split with this project's sink: TFX's own compresses photos and reshuffles at random."""
        examples.split_names = artifact_utils.encode_split_names(contracts.SPLITS)
        class_counts_path = f"{examples.uri}/{CLASS_COUNTS_FILE}"
        fractions = dict(zip(contracts.SPLITS, source.split_fractions, strict=True))
        corrections = match_classes(json.loads(exec_properties["corrections"] or "{}"), description.class_names)
        listing_path = f"{examples.uri}/{LEFT_OUT_FILE}"
        with self._make_beam_pipeline() as pipeline:
            splits = self.GenerateExamplesByBeam(pipeline, exec_properties)
            if corrections:
                splits = correct_splits(splits, corrections, description.class_names, listing_path, unused)
            else:
                write_listing(unused, listing_path)
            for split, photos in splits.items():
                num_shards = examples_io.shards_for(int(total * fractions[split]), _PHOTOS_PER_SHARD[split])
                uri = artifact_utils.get_split_uri([examples], split)
                _ = (
                    photos
                    | f"KeyById[{split}]" >> beam.Map(_with_id)
                    | f"WriteSplit[{split}]" >> examples_io.WriteExamples(uri, num_shards, finish=finish)
                )
            splits | "WriteClassCounts" >> WriteClassCounts(class_counts_path)
        if corrections:
            check_applied(corrections, listing_path)
        examples_utils.set_payload_format(examples, exec_properties[standard_component_specs.OUTPUT_DATA_FORMAT_KEY])
        file_format = write_split.to_file_format_str(exec_properties[standard_component_specs.OUTPUT_FILE_FORMAT_KEY])
        examples_utils.set_file_format(examples, file_format)
        _describe_examples(examples, description, class_counts_path)


def _check_unchanged(found: data_source.SourceDescription, exec_properties: dict[str, Any]) -> None:
    if exec_properties["fingerprint"] not in ("", found.fingerprint):
        raise UserError("the photos or the dataset have changed since the run began: run again")
    for remark in found.remarks:
        logger.info("%s", remark)


def _check_one_split(name: str, splits: Collection[str]) -> None:
    if len(splits) != 1:
        raise UserError(f"{name!r} has the splits {', '.join(splits)}: use split method count, not hash")


def _with_slices(
    source: DataSource, exec_properties: dict[str, Any], builder: tfds.core.DatasetBuilder
) -> dict[str, Any]:
    """Replaces the symbolic patterns of the input splits by slices of the dataset's own splits."""
    sizes = {name: split.num_examples for name, split in builder.info.splits.items()}
    if not sum(sizes.values()):
        raise UserError(f"dataset {builder.name!r} has no examples")
    if source.split_method == "hash":
        _check_one_split(builder.name, sizes)
        slices = {contracts.TRAIN_SPLIT: next(iter(sizes))}
    else:
        slices = split_slices(sizes, source.split_fractions)
        if remark := describe_unused_fractions(sizes, source.split_fractions):
            logger.info("%s", remark)
    logger.info("Splits of %s: %s", builder.name, ", ".join(f"{name} = {part}" for name, part in slices.items()))
    parts = [example_gen_pb2.Input.Split(name=name, pattern=part) for name, part in slices.items()]
    input_config = proto_utils.proto_to_json(example_gen_pb2.Input(splits=parts))
    return {**exec_properties, standard_component_specs.INPUT_CONFIG_KEY: input_config}


def _with_id(example: tf.train.Example) -> examples_io.KeyedExample:
    example_id = example.features.feature[contracts.ID_KEY].bytes_list.value[0]
    return example_id, example.SerializeToString(deterministic=True)


@beam.ptransform_fn
def WriteClassCounts(splits: dict[str, beam.PCollection], path: str) -> beam.PCollection:
    """Counts the labels of every split and writes one line of JSON: [[split, label, count], ...]."""
    return (
        [examples | f"GetLabel[{split}]" >> beam.Map(_split_and_label, split) for split, examples in splits.items()]
        | "FlattenSplits" >> beam.Flatten()
        | "CountLabels" >> beam.combiners.Count.PerElement()
        | "GatherCounts" >> beam.combiners.ToList()
        | "WriteCounts" >> beam.Map(_write_counts, path)
    )


def _split_and_label(example: tf.train.Example, split: str) -> tuple[str, int]:
    return split, example.features.feature[contracts.LABEL_KEY].int64_list.value[0]


def _write_counts(counts: Iterable[tuple[tuple[str, int], int]], path: str) -> None:
    fileio.makedirs(path.rpartition("/")[0])
    with fileio.open(path, "w") as counts_file:
        counts_file.write(json.dumps(sorted([*key, count] for key, count in counts)))


def _describe_examples(examples: types.Artifact, description: data_source.SourceDescription, counts_path: str) -> None:
    """Sets the custom properties of the Examples artifact, and logs the counts that `WriteClassCounts` wrote."""
    names = description.class_names
    class_counts = {split: dict.fromkeys(names, 0) for split in contracts.SPLITS}
    with fileio.open(counts_path) as counts_file:
        for split, label, count in json.loads(counts_file.read()):
            # TFDS marks unlabelled examples with -1; ExampleValidator reports labels outside the classes.
            name = names[label] if 0 <= label < len(names) else str(label)
            class_counts[split][name] = count
    split_counts = {split: sum(counts.values()) for split, counts in class_counts.items()}
    examples.set_string_custom_property(contracts.DATASET_NAME_PROPERTY, description.name)
    examples.set_string_custom_property(contracts.DATASET_VERSION_PROPERTY, description.version)
    examples.set_string_custom_property(contracts.CLASS_NAMES_PROPERTY, json.dumps(names))
    examples.set_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY, json.dumps(split_counts))
    examples.set_string_custom_property(contracts.CLASS_COUNTS_PROPERTY, json.dumps(class_counts))
    for split, counts in class_counts.items():
        listed = ", ".join(f"{name!r} {count}" for name, count in counts.items())
        total = split_counts[split]
        logger.info("%s: %d %s (%s)", split, total, "photo" if total == 1 else "photos", listed)
    if line := _describe_missing(class_counts):
        logger.warning("%s", line)


def _describe_missing(class_counts: Mapping[str, Mapping[str, int]]) -> str:
    """Returns one line on the classes that are not in every split; empty when all are."""
    names = dict.fromkeys(name for counts in class_counts.values() for name in counts)
    lacking = {name: [split for split, counts in class_counts.items() if not counts.get(name)] for name in names}
    named = [f"{name!r} is not in {' and '.join(splits)}" for name, splits in lacking.items() if splits]
    return f"Not every class is in every split: {first_few(named)}" if named else ""
