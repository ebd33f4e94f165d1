"""Properties that hold for every input: examples survive a round trip, splits are stable, no option is a traceback."""

import logging
import shlex
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import click
import pytest
import tensorflow as tf
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.common.errors import UserError
from components.contracts import ID_KEY, IMAGE_KEY, LABEL_KEY, SPLITS
from components.example_gen.component import TfdsExampleGen
from components.example_gen.data_source import FeatureKeys
from components.example_gen.executor import Executor
from components.example_gen.options import DataSource
from components.example_gen.tfds_dataset import tfds_to_example
from components.modeling.input_pipeline import read_serialized
from components.storage.examples_io import WriteExamples
from pipeline.cli.main import cli, main

# What a photo's file may hold and be called: anything.
PHOTOS = st.lists(st.tuples(st.binary(), st.integers(-1, 2**63 - 1), st.binary(min_size=1)), max_size=20)
FEWER = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEWER
@given(photos=PHOTOS, num_shards=st.integers(1, 3))
def test_examples_survive_a_round_trip(photos: list[tuple[bytes, int, bytes]], num_shards: int) -> None:
    keys = FeatureKeys("picture", "class", "file")
    examples = [
        tfds_to_example(
            {"picture": tf.constant(image), "class": tf.constant(label, tf.int64), "file": tf.constant(name)}, keys
        )
        for image, label, name in photos
    ]
    keyed = [(name, example.SerializeToString()) for (_, _, name), example in zip(photos, examples, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline() as pipeline:
            _ = pipeline | beam.Create(keyed) | WriteExamples(folder, num_shards)
        read = [tf.train.Example.FromString(record.numpy()) for record in read_serialized([f"{folder}/*"])]
    features = [example.features.feature for example in read]
    values = [
        (f[IMAGE_KEY].bytes_list.value[0], f[LABEL_KEY].int64_list.value[0], f[ID_KEY].bytes_list.value[0])
        for f in features
    ]
    assert sorted(values) == sorted(photos)


class NamedExamples(Executor):
    """TfdsExampleGen's executor, reading no dataset but these names."""

    def __init__(self, names: list[bytes], folder: str):
        super().__init__()
        self._names, self._class_counts_path = names, f"{folder}/counts.json"

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:
        keys = FeatureKeys(IMAGE_KEY, LABEL_KEY, ID_KEY)
        examples = [
            tfds_to_example(
                {IMAGE_KEY: tf.constant(b""), LABEL_KEY: tf.constant(0, tf.int64), ID_KEY: tf.constant(name)}, keys
            )
            for name in self._names
        ]
        return lambda properties, pattern: beam.Create(examples)


def splits_of(names: list[bytes], fractions: tuple[float, float, float]) -> dict[bytes, str]:
    """Which split TfdsExampleGen puts each name in."""
    properties = TfdsExampleGen(
        DataSource(dataset="tf_flowers", split_fractions=fractions, split_method="hash")
    ).exec_properties
    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline() as pipeline:
            splits = NamedExamples(names, folder).GenerateExamplesByBeam(pipeline, dict(properties))
            for split, examples in splits.items():
                keyed = examples | f"KeyByName[{split}]" >> beam.Map(lambda e: (name_of(e), e.SerializeToString()))
                _ = keyed | f"Write[{split}]" >> WriteExamples(f"{folder}/{split}", 1)
        return {
            name_of(tf.train.Example.FromString(record.numpy())): split
            for split in SPLITS
            for record in read_serialized([f"{folder}/{split}/*"])
        }


def name_of(example: tf.train.Example) -> bytes:
    return example.features.feature[ID_KEY].bytes_list.value[0]


NAMES = st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=100, unique=True)


@settings(FEWER, max_examples=3)
@given(names=NAMES, added=NAMES, shares=st.tuples(*[st.integers(1, 98)] * 2).filter(lambda s: sum(s) < 100))
def test_added_photos_move_no_other_between_hash_splits(
    names: list[bytes], added: list[bytes], shares: tuple[int, int]
) -> None:
    fractions = (shares[0] / 100, shares[1] / 100, (100 - sum(shares)) / 100)
    before = splits_of(names, fractions)
    after = splits_of([*added, *[name for name in names if name not in added]], fractions)
    assert set(before) == set(names)
    assert set(before.values()) <= set(SPLITS)
    assert {name: after[name] for name in names} == before


# These start other programs, a server among them.
EXCLUDED = {"tensorboard", "doctor"}
OPTIONS = sorted(
    {
        option
        for name, command in cli.commands.items()
        if name not in EXCLUDED
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in [*parameter.opts, *parameter.secondary_opts]
    }
)
ODD = ["0x0", "-1", "nan", "latest~9"]
VALUES = st.one_of(st.text(max_size=20), st.integers().map(str), st.floats().map(str), st.sampled_from(ODD))
ARGUMENTS = st.lists(st.one_of(st.sampled_from(OPTIONS), VALUES), max_size=8)


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """The commands send log records and warnings elsewhere: here only for one test."""
    loggers = [logging.getLogger(name) for name in (None, "components", "pipeline")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    raising = logging.raiseExceptions
    with warnings.catch_warnings():
        yield
    logging.raiseExceptions = raising
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.sampled_from(sorted({"", *cli.commands} - EXCLUDED)), arguments=ARGUMENTS)
def test_no_command_line_gives_a_traceback(
    tmp_path: Path, restored_logging: None, command: str, arguments: list[str]
) -> None:
    # The last value counts: nothing is written elsewhere, and no run gets further than to its data.
    fixed = ["--output", str(tmp_path / "output")]
    if command in ("", "run"):
        fixed += ["--photos", str(tmp_path / "no photos"), "--metadata", ""]
    result = CliRunner().invoke(cli, [*([command] if command else []), *arguments, *fixed])
    assert isinstance(result.exception, (type(None), SystemExit, UserError)), shlex.join([command, *arguments])
    assert result.exit_code in (0, 1, 2)
    if isinstance(result.exception, UserError):
        assert "\n" not in str(result.exception)


def test_a_user_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], restored_logging: None) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["show", "latest", "--output", str(tmp_path)])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: ")
