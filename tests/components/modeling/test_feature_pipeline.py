"""Tests of what the head is trained on: features in memory, and features that do not fit."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tf_examples import feature_example

from components.contracts.training import EpochResult
from components.modeling.head import build_head
from components.modeling.hyperparameters import Hyperparameters
from components.modeling.input_pipeline import FeaturePipeline, read_serialized
from components.modeling.training_loop import TrainingLoop
from components.storage.shards import write_shard

_D = 8
_SHARDS, _PER_SHARD, _VALIDATION = 20, 30, 90
_BYTES = 4 * _D + 1024  # what the pipeline counts for one of these examples
_ALL = (_SHARDS * _PER_SHARD + _VALIDATION) * _BYTES
_HYPERPARAMETERS = Hyperparameters(hidden_units=16, batch_size=32, epochs=4, learning_rate=0.01, seed=7)


@dataclasses.dataclass(frozen=True)
class _Splits:
    train: list[str]
    validation: list[str]

    def pipeline(self, memory: int) -> FeaturePipeline:
        return FeaturePipeline(self.train, self.validation, memory)


@pytest.fixture(scope="module")
def splits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 shards of training examples, in which no two share their first feature, and 3 of validation."""
    folder = tmp_path_factory.mktemp("splits")
    rng = np.random.default_rng(3)
    for split, shards in (("train", _SHARDS), ("validation", _VALIDATION // _PER_SHARD)):
        for shard in range(shards):
            vectors = [
                (rng.normal(0, 0.8, _D) + np.eye(3, _D)[label] * 2, label) for label in rng.integers(0, 3, _PER_SHARD)
            ]
            path = f"{folder}/{split}/data_tfrecord-{shard:05d}-of-{shards:05d}.gz"
            write_shard(path, (feature_example(vector, label) for vector, label in vectors))
    return folder


def _splits_in(folder: Path) -> _Splits:
    return _Splits([f"{folder}/train/*"], [f"{folder}/validation/*"])


@pytest.fixture(scope="module")
def splits(splits_folder: Path) -> _Splits:
    return _splits_in(splits_folder)


def _stored(patterns: list[str]) -> list[float]:
    """Returns what tells examples apart, in the order of the files."""
    examples = map(tf.train.Example.FromString, read_serialized(patterns).as_numpy_iterator())
    return [example.features.feature["feature_vector"].float_list.value[0] for example in examples]


def _seen(batches: tf.data.Dataset) -> list[float]:
    return [float(value) for features, _ in batches for value in features[:, 0]]


def _fit(splits: _Splits, memory: int, folder: Path, epochs: int = 4) -> tuple[list[EpochResult], list[np.ndarray]]:
    hyperparameters = dataclasses.replace(_HYPERPARAMETERS, epochs=epochs)
    features = splits.pipeline(memory)
    head = build_head(_D, 3, hyperparameters.hidden_units, hyperparameters.seed)
    curve = TrainingLoop(head, hyperparameters, str(folder)).fit(
        lambda epoch: features.training_batches(hyperparameters.batch_size, hyperparameters.seed, epoch),
        features.validation_batches(),
    )
    return curve, head.get_weights()


@pytest.mark.parametrize("memory", [_ALL, _ALL // 4])
def test_no_thread_tunes_an_iterator_that_would_wait_for_it_in_the_end(splits: _Splits, memory: int) -> None:
    features = splits.pipeline(memory)
    for batches in (features.training_batches(32, seed=7, epoch=0), features.validation_batches()):
        assert batches.options().autotune.enabled is False


@pytest.mark.parametrize("memory", [_ALL, 10**9])
def test_what_fits_is_shuffled_as_a_whole(splits: _Splits, memory: int) -> None:
    """The order is a contract: another one means other weights for everybody."""
    features, stored = splits.pipeline(memory), _stored(splits.train)
    for epoch in (0, 1):
        whole = tf.data.Dataset.from_tensor_slices(stored).shuffle(len(stored), 5 * 100_003 + epoch, False)
        assert _seen(features.training_batches(32, 5, epoch)) == list(whole.as_numpy_iterator())


@pytest.mark.parametrize("memory", [0, 50 * _BYTES, _ALL - 100 * _BYTES])
def test_streaming_sees_every_example_once_per_epoch(splits: _Splits, memory: int) -> None:
    features, stored = splits.pipeline(memory), _stored(splits.train)
    epochs = [_seen(features.training_batches(32, 5, epoch)) for epoch in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [sorted(stored)] * 3
    assert len(set(map(tuple, [stored, *epochs]))) == 4
    assert [len(labels) for _, labels in features.training_batches(32, 5, 0)] == [32] * 18 + [24]


def test_the_order_of_streaming_follows_from_seed_and_epoch(splits: _Splits) -> None:
    batches = splits.pipeline(100 * _BYTES).training_batches(32, 5, 1)
    assert _seen(batches) == _seen(batches)
    assert _seen(splits.pipeline(100 * _BYTES).training_batches(32, 5, 1)) == _seen(batches)
    assert _seen(splits.pipeline(100 * _BYTES).training_batches(32, 6, 1)) != _seen(batches)


def test_a_streamed_batch_mixes_shards(splits: _Splits) -> None:
    """Even with hardly any room for shuffling."""
    stored = _stored(splits.train)
    first = _seen(splits.pipeline(0).training_batches(32, 5, 0))[:32]
    assert len({stored.index(value) // _PER_SHARD for value in first}) >= 12


@pytest.mark.parametrize("memory", [0, 50 * _BYTES, 10**9])
def test_validation_keeps_the_order_of_its_files(splits: _Splits, memory: int) -> None:
    assert _seen(splits.pipeline(memory).validation_batches()) == _stored(splits.validation)


@pytest.mark.parametrize(
    ("memory", "train", "validation"),
    [
        (_ALL, True, True),
        (_ALL - _BYTES, True, False),
        (2 * _VALIDATION * _BYTES, False, True),
        (2 * _VALIDATION * _BYTES - 1, False, False),
    ],
)
def test_what_fits_is_read_once(
    splits_folder: Path, memory: int, train: bool, validation: bool, tmp_path: Path
) -> None:
    features = _splits_in(shutil.copytree(splits_folder, tmp_path / "splits")).pipeline(memory)
    passes: dict[str, Callable[[], Any]] = {
        "train": lambda: _seen(features.training_batches(32, 5, 0)),
        "validation": lambda: _seen(features.validation_batches()),
    }
    before = {name: read() for name, read in passes.items()}
    for file in tmp_path.glob("splits/*/*.gz"):
        file.unlink()
    for name, kept in {"train": train, "validation": validation}.items():
        if kept:
            assert passes[name]() == before[name]
        else:
            with pytest.raises(tf.errors.OpError, match="No such file"):
                passes[name]()


@pytest.mark.slow
def test_streamed_training_learns_as_well_as_in_memory_and_resumes(splits: _Splits, tmp_path: Path) -> None:
    memory = 50 * _BYTES
    in_memory, _ = _fit(splits, 10**9, tmp_path / "memory")
    undisturbed, weights = _fit(splits, memory, tmp_path / "undisturbed")
    assert [result.epoch for result in undisturbed] == [1, 2, 3, 4]
    assert undisturbed[-1].loss == pytest.approx(in_memory[-1].loss, rel=0.05)
    assert undisturbed[-1].validation_loss == pytest.approx(in_memory[-1].validation_loss, rel=0.05)
    _fit(splits, memory, tmp_path / "resumed", epochs=2)
    resumed, others = _fit(splits, memory, tmp_path / "resumed")
    assert resumed == undisturbed
    assert all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))
