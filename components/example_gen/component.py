"""TfdsExampleGen, the pipeline's source of examples."""

import json
from collections.abc import Sequence

from tfx import types
from tfx.components.example_gen import component
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from components.common.errors import UserError
from components.contracts import ID_KEY, SPLITS, TRAIN_SPLIT
from components.example_gen.executor import Executor
from components.photos import splits


class TfdsExampleGenSpec(standard_component_specs.QueryBasedExampleGenSpec):
    """QueryBasedExampleGen's, with one parameter for each property of the source.

    They are parameters, not a `custom_config`, because only a whole parameter can be a RuntimeParameter on Kubeflow.
    """

    PARAMETERS = {
        **standard_component_specs.QueryBasedExampleGenSpec.PARAMETERS,
        "convert": component_spec.ExecutionParameter(type=int),
        "corrections": component_spec.ExecutionParameter(type=str),
        "dataset": component_spec.ExecutionParameter(type=str),
        "photos": component_spec.ExecutionParameter(type=str),
        "data_dir": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
        "group_by": component_spec.ExecutionParameter(type=str),
        "num_photos": component_spec.ExecutionParameter(type=int),
        "seed": component_spec.ExecutionParameter(type=int),
        "split_fractions": component_spec.ExecutionParameter(type=str),
        "split_method": component_spec.ExecutionParameter(type=str),
    }


class TfdsExampleGen(component.QueryBasedExampleGen):
    """Writes the photos of a TFDS dataset, or of a user's folders, as tf.Examples split in train/validation/test.

    The examples hold `image` (bytes as stored, or a JPEG made of them), `label` (int64) and `id` (bytes). Their
    artifact's custom properties tell the dataset's name, version and class names, and the counts per split and class.
    """

    SPEC_CLASS = TfdsExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        dataset: str | data_types.RuntimeParameter = "",
        *,
        photos: str | None = None,
        data_dir: str | None = None,
        fingerprint: str = "",
        split_fractions: Sequence[float] = splits.DEFAULT_SPLIT_FRACTIONS,
        split_method: str = "count",
        group_by: str = "",
        convert: bool = True,
        corrections: str = "",
        num_photos: int | None = None,
        seed: int = 0,
    ):
        """Constructs a TfdsExampleGen.

        Args:
            dataset: Name of a TFDS image-classification dataset or "synthetic_flowers".
            photos: Folder or archive of class-named folders, or a manifest, instead of `dataset`.
            data_dir: Where datasets are prepared and kept; TFDS' own folder if None.
            fingerprint: `describe_source(...).fingerprint`: with it in TFX's cache key, changed photos are read again.
            split_fractions: Shares of train, validation and test, each in (0, 1), summing to 1. Used for the splits
                that the dataset does not have itself.
            split_method: "count": exact shares of a dataset in the order of its keys' hashes, of a user's photos class
                by class. "hash": the hash of a photo's key alone decides, so that added photos move no other; the
                shares are then approximate.
            group_by: A column of the photos' manifest, or a regular expression over their paths: photos of one group
                share a split. Needs `split_method` "count".
            convert: Whether own photos in formats that TensorFlow does not decode become JPEGs.
            corrections: JSON of `label_corrections.read_corrections`: photos of another class, or of none.
            num_photos: How many photos synthetic_flowers draws, at least 1; its default if None.
            seed: Seed of synthetic_flowers, at least 0.

        Raises:
            UserError: Neither or both of `dataset` and `photos` are given, or an argument is out of range.
        """
        if bool(dataset) == bool(photos):
            raise UserError(f"expected either a dataset or photos, received dataset={dataset!r} and photos={photos!r}")
        if split_method not in splits.SPLIT_METHODS:
            raise UserError(f"split method must be one of {', '.join(splits.SPLIT_METHODS)}, received {split_method!r}")
        if num_photos is not None and num_photos < 1:
            raise UserError(f"the number of photos must be at least 1, received {num_photos}")
        splits.check_split_fractions(split_fractions)
        by_hash = split_method == "hash"
        spec = TfdsExampleGenSpec(
            input_config=_input_config([TRAIN_SPLIT] if by_hash else SPLITS),
            output_config=_hash_output_config(split_fractions) if by_hash else example_gen_pb2.Output(),
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
            output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            dataset=dataset,
            photos=photos or "",
            data_dir=data_dir or "",
            fingerprint=fingerprint,
            num_photos=num_photos or 0,
            seed=seed,
            split_fractions=json.dumps(list(split_fractions)),
            split_method=split_method,
            group_by=group_by,
            convert=int(convert),
            corrections=corrections,
            examples=types.Channel(type=standard_artifacts.Examples),
        )
        # QueryBasedExampleGen's own constructor knows no parameters but its spec's.
        base_beam_component.BaseBeamComponent.__init__(self, spec=spec)


def _input_config(names: Sequence[str]) -> example_gen_pb2.Input:
    """Returns input splits with symbolic patterns: the executor turns them into slices, which need the dataset."""
    return example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name=name, pattern=name) for name in names])


def _hash_output_config(fractions: Sequence[float]) -> example_gen_pb2.Output:
    buckets = [
        example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=count)
        for name, count in splits.hash_buckets(fractions).items()
    ]
    return example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(splits=buckets, partition_feature_name=ID_KEY)
    )
