"""Bad data against the project's schema: real StatisticsGen and ExampleValidator logic, then the gate."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.components.example_validator import executor as example_validator
from tfx.components.statistics_gen import executor as statistics_gen
from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.types import Artifact, artifact_utils, standard_artifacts

from components.anomaly_gate import AnomalyGate
from components.common.errors import UserError
from components.image_schema_gen import ImageSchemaGen

_CLASSES = ["daisy", "rose"]


def _example(image: bytes, label: int | None, example_id: str) -> bytes:
    example = tf.train.Example()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(image)
    feature["id"].bytes_list.value.append(example_id.encode())
    if label is not None:
        feature["label"].int64_list.value.append(label)
    return example.SerializeToString()


def _examples_artifact(folder: Path, splits: dict[str, list[bytes]]) -> standard_artifacts.Examples:
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(list(splits))
    artifact.set_string_custom_property("class_names", json.dumps(_CLASSES))
    for name, records in splits.items():
        split = folder / f"Split-{name}"
        split.mkdir(parents=True)
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(str(split / "data_tfrecord-00000-of-00001.gz"), options) as writer:
            for record in records:
                writer.write(record)
    return artifact


def _validate(tmp_path: Path, splits: dict[str, list[bytes]]) -> None:
    """Runs schema, statistics, validation and gate on the splits, each through its executor."""
    examples = _examples_artifact(tmp_path / "examples", splits)

    def output(artifact: Artifact, name: str) -> Artifact:
        artifact.uri = str(tmp_path / name)
        Path(artifact.uri).mkdir()
        return artifact

    schema = output(standard_artifacts.Schema(), "schema")
    statistics = output(standard_artifacts.ExampleStatistics(), "statistics")
    anomalies = output(standard_artifacts.ExampleAnomalies(), "anomalies")
    context = base_executor.BaseExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
    beam_context = base_beam_executor.BaseBeamExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="2")
    ImageSchemaGen.test_call(examples=examples, schema=schema)
    statistics_gen.Executor(beam_context).Do(
        {"examples": [examples], "schema": [schema]}, {"statistics": [statistics]}, {"exclude_splits": "[]"}
    )
    example_validator.Executor(context).Do(
        {"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]}, {"exclude_splits": "[]"}
    )
    AnomalyGate.test_call(anomalies=anomalies, statistics=statistics)


def _good(encode_image: Callable[..., bytes], count: int = 4) -> list[bytes]:
    return [_example(encode_image(seed=index), index % 2, f"photo{index}") for index in range(count)]


@pytest.mark.slow
def test_good_data_passes(tmp_path: Path, encode_image: Callable[..., bytes]) -> None:
    _validate(tmp_path, {"train": _good(encode_image), "test": _good(encode_image)})


@pytest.mark.slow
def test_all_problems_of_all_splits_are_named(tmp_path: Path, encode_image: Callable[..., bytes]) -> None:
    good = _good(encode_image)
    unlabelled, other_class = _example(encode_image(), None, "unlabelled"), _example(encode_image(), 7, "bad")
    with pytest.raises(UserError) as caught:
        _validate(tmp_path, {"train": [*good, unlabelled], "validation": [], "test": [*good, other_class]})
    message = str(caught.value)
    assert "\n" not in message
    assert "train split, label: The feature has a shape, but it's not always present" in message
    assert "validation split, dataset: no examples; give more photos" in message
    assert re.search(r"test split, label: .*(7|too large|range|domain)", message)
