"""Properties that hold for every input: examples survive a round trip, no option is a traceback."""

import logging
import shlex
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import tensorflow as tf
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.common.errors import UserError
from components.contracts import ID_KEY, IMAGE_KEY, LABEL_KEY
from components.example_gen.data_source import FeatureKeys
from components.example_gen.tfds_dataset import tfds_to_example
from components.storage.shards import read_shard, write_shard
from pipeline.cli.main import cli, main

# What a photo's file may hold and be called: anything.
PHOTOS = st.lists(st.tuples(st.binary(), st.integers(-1, 2**63 - 1), st.binary(min_size=1)), max_size=20)


@settings(max_examples=20, deadline=None)
@given(photos=PHOTOS)
def test_examples_survive_a_round_trip(photos: list[tuple[bytes, int, bytes]]) -> None:
    keys = FeatureKeys("picture", "class", "file")
    elements = [
        {"picture": tf.constant(image), "class": tf.constant(label, tf.int64), "file": tf.constant(name)}
        for image, label, name in photos
    ]
    with tempfile.TemporaryDirectory() as folder:
        shard = f"{folder}/shard.gz"
        write_shard(shard, (tfds_to_example(element, keys).SerializeToString() for element in elements))
        read = [tf.train.Example.FromString(record).features.feature for record in read_shard(shard)]
    values = [
        (f[IMAGE_KEY].bytes_list.value[0], f[LABEL_KEY].int64_list.value[0], f[ID_KEY].bytes_list.value[0])
        for f in read
    ]
    assert values == photos


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.sampled_from(sorted({"", *cli.commands} - EXCLUDED)), arguments=ARGUMENTS)
def test_no_command_line_gives_a_traceback(
    tmp_path: Path, restored_logging: None, command: str, arguments: list[str]
) -> None:
    # The last value counts: nothing is written elsewhere, and no run gets further than to its data.
    fixed = ["--output", str(tmp_path / "output")]
    if command in ("", "run"):
        fixed += ["--photos", str(tmp_path / "no photos"), "--metadata", f"sqlite:{tmp_path / 'store'}"]
    result = CliRunner().invoke(cli, [*([command] if command else []), *arguments, *fixed])
    assert isinstance(result.exception, (type(None), SystemExit, UserError)), shlex.join([command, *arguments])
    assert result.exit_code in (0, 1, 2)
    if isinstance(result.exception, UserError):
        assert "\n" not in str(result.exception)


def test_a_user_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], restored_logging: None) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["show", "latest", "--output", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")
