"""TfdsExampleGen, the pipeline's source of examples, and PhotosFingerprint for compiled pipelines."""

import dataclasses
import json
import logging
from collections.abc import Sequence

from tfx import types
from tfx.components.example_gen.component import QueryBasedExampleGen
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import example_gen_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from components.common.errors import UserError
from components.contracts import ID_KEY, SPLITS, TRAIN_SPLIT
from components.example_gen.data_source import describe_source
from components.example_gen.executor import Executor
from components.example_gen.options import DataSource
from components.photos.splits import hash_buckets


class TfdsExampleGenSpec(standard_component_specs.QueryBasedExampleGenSpec):
    """QueryBasedExampleGen's, with a parameter for each field of `DataSource`.

    They are not one `custom_config`, because only a whole parameter can be a RuntimeParameter on Kubeflow.
    """

    PARAMETERS = {
        **standard_component_specs.QueryBasedExampleGenSpec.PARAMETERS,
        **{field.name: component_spec.ExecutionParameter(type=str) for field in dataclasses.fields(DataSource)},
        "num_photos": component_spec.ExecutionParameter(type=int),
        "corrections": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
    }


class TfdsExampleGen(QueryBasedExampleGen):
    """Writes the photos of a TFDS dataset, or a user's own, as tf.Examples split in train, validation and test.

    The examples hold `image` (bytes as stored, or a JPEG converted from them), `label` (int64) and `id` (bytes). Custom
    properties of the artifact hold the dataset's name, version and class names, and the counts per split and class.
    """

    SPEC_CLASS = TfdsExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, source: DataSource, *, fingerprint: str = "", corrections: str = ""):
        """Takes the `fingerprint` of `describe_source`, for TFX's cache key, and JSON of `read_corrections`.

        With `split_method` "count", a dataset is split in the order of its keys' hashes, a user's photos class by
        class. Raises UserError if the source has neither or both of `dataset` and `photos`, or a fraction is too small.
        """
        if bool(source.dataset) == bool(source.photos):
            raise UserError(
                f"expected either a dataset or photos, received dataset={source.dataset!r} and photos={source.photos!r}"
            )
        by_hash = source.split_method == "hash"
        # Their patterns are symbolic: the executor turns them into slices, which need the dataset.
        names = [TRAIN_SPLIT] if by_hash else SPLITS
        splits = [example_gen_pb2.Input.Split(name=name, pattern=name) for name in names]
        parameters = {field.name: getattr(source, field.name) for field in dataclasses.fields(DataSource)}
        spec = TfdsExampleGenSpec(
            **parameters | {"split_fractions": json.dumps(list(source.split_fractions))},
            corrections=corrections,
            fingerprint=fingerprint,
            input_config=example_gen_pb2.Input(splits=splits),
            output_config=_hash_output_config(source.split_fractions) if by_hash else example_gen_pb2.Output(),
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
            output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            examples=types.Channel(type=standard_artifacts.Examples),
        )
        # QueryBasedExampleGen's own constructor accepts no further parameters.
        base_beam_component.BaseBeamComponent.__init__(self, spec=spec)


def _hash_output_config(fractions: Sequence[float]) -> example_gen_pb2.Output:
    config = example_gen_pb2.SplitConfig(partition_feature_name=ID_KEY)
    for name, count in hash_buckets(fractions).items():
        config.splits.add(name=name, hash_buckets=count)
    return example_gen_pb2.Output(split_config=config)


logger = logging.getLogger(__name__)


@component
def PhotosFingerprint(
    photos: Parameter[str],
    data_dir: Parameter[str],
    layout: Parameter[str],
    expected: Parameter[str],
    fingerprint: OutputArtifact[standard_artifacts.String],
) -> None:
    """Digests the photos, or the listing of a bucket; its output is part of TfdsExampleGen's cache key.

    A local run digests the photos before it starts. A compiled pipeline runs again and again, and the photos may have
    changed each time. Raises UserError if they do not have the `expected` fingerprint; an empty one accepts any.
    """
    found = describe_source(DataSource(photos=photos, data_dir=data_dir, layout=layout)).fingerprint
    if expected not in ("", found):
        raise UserError(
            f"the photos in {photos} have the fingerprint {found}, expected {expected}: they have changed since the "
            "pipeline was compiled; compile it again, or leave photos_fingerprint empty to accept any photos"
        )
    logger.info("Fingerprint of %s: %s", photos, found)
    fingerprint.value = found
