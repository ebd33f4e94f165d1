"""Executor of TfdsExampleGen, run by TFX."""

import dataclasses
import functools
import hashlib
import json
import logging
import os
from collections.abc import Iterable
from typing import Any

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

from components.common import contracts, examples_io
from components.common.contracts.quarantine import LEFT_OUT_FILE
from components.common.errors import UserError
from components.common.photo_formats.photo_conversion import ACCEPTED_SUFFIXES
from components.example_gen import builders
from components.example_gen.class_counts import WriteClassCounts, describe_examples
from components.example_gen.photo_folder.photo_folder_dataset_builder import PhotoFolder
from components.example_gen.preparation import prepare_dataset
from components.example_gen.splits import split_slices

logger = logging.getLogger(__name__)

CLASS_COUNTS_FILE = "class_counts.json"


class ToExampleFn(beam.DoFn):
    """Turns TFDS' tensors into tf.Examples of `image`, `label` and `id`.

    The id is the photo's file name, or the SHA-256 of its bytes in data sets that keep no names.
    """

    def __init__(self, keys: builders.FeatureKeys):
        self._keys = keys

    def process(self, element: dict[str, tf.Tensor]) -> Iterable[tf.train.Example]:
        image = element[self._keys.image].numpy()
        # A position in the data set would name another photo as soon as some are added.
        example_id = element[self._keys.id].numpy() if self._keys.id else hashlib.sha256(image).hexdigest().encode()
        features = {
            contracts.IMAGE_KEY: _bytes_feature(image),
            contracts.LABEL_KEY: tf.train.Feature(
                int64_list=tf.train.Int64List(value=[element[self._keys.label].numpy()])
            ),
            contracts.ID_KEY: _bytes_feature(example_id),
        }
        yield tf.train.Example(features=tf.train.Features(feature=features))


def _bytes_feature(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


class TfdsToExamples(beam.PTransform):
    """Reads a slice of a prepared TFDS dataset as tf.Examples, images undecoded."""

    def __init__(self, builder: tfds.core.DatasetBuilder, exec_properties: dict[str, Any], split_pattern: str):
        """Creates the transform.

        Args:
            builder: Builder of a prepared dataset.
            exec_properties: Not used; the argument is part of the base executor's contract.
            split_pattern: A TFDS slice such as "train[:1835]".
        """
        super().__init__()
        del exec_properties
        self._builder, self._split_pattern = builder, split_pattern

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        keys = builders.find_feature_keys(self._builder)
        return (
            pipeline
            | "ReadFromTFDS"
            >> tfds.beam.ReadFromTFDS(
                self._builder,
                split=self._split_pattern,
                decoders={keys.image: tfds.decode.SkipDecoding()},
                read_config=tfds.ReadConfig(try_autocache=False),
            )
            | "ToExample" >> beam.ParDo(ToExampleFn(keys))
        )


def _with_id(example: tf.train.Example) -> examples_io.KeyedExample:
    example_id = example.features.feature[contracts.ID_KEY].bytes_list.value[0]
    return example_id, example.SerializeToString(deterministic=True)


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """Prepares the dataset, lets the base class split its examples, and writes them."""

    _builder: tfds.core.DatasetBuilder

    def GetInputSourceToExamplePTransform(self) -> Any:
        return functools.partial(TfdsToExamples, self._builder)

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the examples and what is known of them.

        Raises:
            UserError: The source cannot be had, has no photos, is not for image classification, or has changed.
        """
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        builder = builders.make_builder(_source(exec_properties))
        fingerprint, found = exec_properties["fingerprint"], builders.describe_builder(builder)
        if fingerprint not in ("", found.fingerprint):
            raise UserError("the photos or the dataset have changed since the run began: please run again")
        for remark in found.remarks:
            logger.info("%s", remark)
        self._builder = prepare_dataset(builder)
        description = builders.describe_builder(builder)
        examples.split_names = artifact_utils.encode_split_names(contracts.SPLITS)
        class_counts_path = os.path.join(examples.uri, CLASS_COUNTS_FILE)  # noqa: PTH118 (may be a remote URI)
        self._write(examples, class_counts_path, exec_properties)
        describe_examples(examples, description, class_counts_path)
        if isinstance(builder, PhotoFolder):
            _list_left_out(builder, examples.uri)
        if known := self._builder.info.redistribution_info.license:
            examples.set_string_custom_property(contracts.DATASET_LICENSE_PROPERTY, known)

    def _write(self, examples: types.Artifact, class_counts_path: str, exec_properties: dict[str, Any]) -> None:
        """Writes every split with this project's sink: TFX's own compresses photos and reshuffles at random."""
        fractions = dict(zip(contracts.SPLITS, json.loads(exec_properties["split_fractions"]), strict=True))
        total = self._builder.info.splits.total_num_examples
        with self._make_beam_pipeline() as pipeline:
            splits = self.GenerateExamplesByBeam(pipeline, _with_slices(exec_properties, self._builder))
            for split, photos in splits.items():
                num_shards = examples_io.shards_for(int(total * fractions[split]))
                uri = artifact_utils.get_split_uri([examples], split)
                _ = (
                    photos
                    | f"KeyById[{split}]" >> beam.Map(_with_id)
                    | f"WriteSplit[{split}]" >> examples_io.WriteExamples(uri, num_shards)
                )
            splits | "WriteClassCounts" >> WriteClassCounts(class_counts_path)
        examples_utils.set_payload_format(examples, exec_properties[standard_component_specs.OUTPUT_DATA_FORMAT_KEY])
        file_format = write_split.to_file_format_str(exec_properties[standard_component_specs.OUTPUT_FILE_FORMAT_KEY])
        examples_utils.set_file_format(examples, file_format)


def _source(exec_properties: dict[str, Any]) -> builders.DataSource:
    names = (field.name for field in dataclasses.fields(builders.DataSource))
    fractions = tuple(json.loads(exec_properties["split_fractions"]))
    return builders.DataSource(**{name: exec_properties[name] for name in names} | {"split_fractions": fractions})


def _with_slices(exec_properties: dict[str, Any], builder: tfds.core.DatasetBuilder) -> dict[str, Any]:
    """Replaces the symbolic patterns of the input splits by slices of the dataset's own splits."""
    sizes = {name: split.num_examples for name, split in builder.info.splits.items()}
    if not sum(sizes.values()):
        raise UserError(f"dataset {builder.name!r} has no examples")
    if exec_properties["split_method"] == "hash":
        if len(sizes) != 1:
            raise UserError(f"{builder.name!r} has the splits {', '.join(sizes)}: use split method count, not hash")
        slices = {contracts.TRAIN_SPLIT: next(iter(sizes))}
    elif exec_properties["photos"]:  # Split when they were prepared.
        slices = {split: split if split in sizes else f"{next(iter(sizes))}[0:0]" for split in contracts.SPLITS}
    else:
        slices = split_slices(sizes, json.loads(exec_properties["split_fractions"]))
    logger.info("Splits of %s: %s", builder.name, ", ".join(f"{name} = {part}" for name, part in slices.items()))
    parts = [example_gen_pb2.Input.Split(name=name, pattern=part) for name, part in slices.items()]
    input_config = proto_utils.proto_to_json(example_gen_pb2.Input(splits=parts))
    return {**exec_properties, standard_component_specs.INPUT_CONFIG_KEY: input_config}


def _list_left_out(builder: PhotoFolder, uri: str) -> None:
    """Writes what ImageValidator is to list besides the photos that it leaves out itself."""
    entries = (file.to_entry(ACCEPTED_SUFFIXES) for file in builder.photo_set.left_out)
    with fileio.open(f"{uri}/{LEFT_OUT_FILE}", "w") as file:
        file.write("".join(json.dumps(dataclasses.asdict(entry)) + "\n" for entry in entries))
