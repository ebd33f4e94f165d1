"""Tests of the custom training loop on a small separable problem."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from components.common.errors import UserError
from components.contracts.training import EpochResult
from components.modeling.head import build_head
from components.modeling.hyperparameters import Hyperparameters
from components.modeling.input_pipeline import epoch_batches
from components.modeling.training_loop import TrainingLoop

_CLASSES = 3
_SIZE = 96
_HYPERPARAMETERS = Hyperparameters(hidden_units=16, batch_size=10, epochs=4, learning_rate=0.01, seed=7)


def _data(count: int, seed: int) -> tf.data.Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, _CLASSES, count)
    features = rng.normal(0, 0.8, (count, 6)) + np.eye(_CLASSES, 6)[labels] * 2
    return tf.data.Dataset.from_tensor_slices((features.astype(np.float32), labels.astype(np.int64)))


def _fit(
    work_dir: Path, hyperparameters: Hyperparameters = _HYPERPARAMETERS, scale_loss: bool = False
) -> tuple[list[EpochResult], tf.keras.Model]:
    train = _data(_SIZE, 1)
    head = build_head(6, _CLASSES, hyperparameters.hidden_units, hyperparameters.seed)
    loop = TrainingLoop(head, hyperparameters, str(work_dir), scale_loss=scale_loss)
    curve = loop.fit(
        lambda epoch: epoch_batches(train, _SIZE, hyperparameters.batch_size, hyperparameters.seed, epoch),
        _data(60, 2).batch(25),
    )
    return curve, head


def test_loss_falls_and_the_curve_is_complete(tmp_path: Path) -> None:
    curve, _ = _fit(tmp_path)
    assert [result.epoch for result in curve] == [1, 2, 3, 4]
    assert curve[-1].loss < curve[0].loss * 0.8
    assert curve[-1].validation_accuracy > 0.7


def test_metrics_of_an_epoch_are_exact(tmp_path: Path) -> None:
    """The streaming means equal those of the final weights over the whole split, partial last batch included."""
    hyperparameters = dataclasses.replace(_HYPERPARAMETERS, epochs=1)
    (result,), head = _fit(tmp_path, hyperparameters)
    features, labels = next(iter(_data(60, 2).batch(60)))
    logits = head(features)
    loss = tf.keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    assert result.validation_loss == pytest.approx(float(tf.reduce_mean(loss)), rel=1e-5)
    accuracy = np.mean(np.argmax(logits, axis=1) == labels.numpy())
    assert result.validation_accuracy == pytest.approx(accuracy)


def test_same_seed_gives_the_same_curve_and_another_seed_another(tmp_path: Path) -> None:
    first, _ = _fit(tmp_path / "a")
    second, _ = _fit(tmp_path / "b")
    other, _ = _fit(tmp_path / "c", dataclasses.replace(_HYPERPARAMETERS, seed=8))
    assert first == second
    assert first != other


def test_resuming_ends_where_an_undisturbed_run_ends(tmp_path: Path) -> None:
    undisturbed, expected = _fit(tmp_path / "undisturbed")
    _fit(tmp_path / "resumed", dataclasses.replace(_HYPERPARAMETERS, epochs=2))
    resumed, actual = _fit(tmp_path / "resumed")
    assert resumed == undisturbed
    for a, b in zip(expected.get_weights(), actual.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_best_epoch_is_kept(tmp_path: Path) -> None:
    """A learning rate that ruins the head after a good start: the exported weights are the good ones."""
    hyperparameters = dataclasses.replace(_HYPERPARAMETERS, epochs=6, learning_rate=2.0)
    curve, head = _fit(tmp_path, hyperparameters)
    features, labels = next(iter(_data(60, 2).batch(60)))
    accuracy = float(np.mean(np.argmax(head(features), axis=1) == labels.numpy()))
    assert accuracy == pytest.approx(max(result.validation_accuracy for result in curve))


def test_early_stopping_waits_for_its_patience(tmp_path: Path) -> None:
    hyperparameters = dataclasses.replace(_HYPERPARAMETERS, epochs=50, early_stopping_patience=2)
    curve, _ = _fit(tmp_path, hyperparameters)
    best = max(range(len(curve)), key=lambda i: (curve[i].validation_accuracy, -curve[i].validation_loss))
    assert len(curve) < 50
    assert len(curve) - 1 - best == 2


def test_tensorboard_reads_both_writers(tmp_path: Path) -> None:
    _fit(tmp_path, dataclasses.replace(_HYPERPARAMETERS, log_every_steps=5))
    steps = {}
    for split in ("train", "validation"):
        events = event_accumulator.EventAccumulator(str(tmp_path / "logs" / split))
        events.Reload()
        assert set(events.Tags()["tensors"]) == {"loss", "accuracy"}
        steps[split] = [event.step for event in events.Tensors("loss")]
    # 96 examples in batches of 10 are 10 steps an epoch.
    assert steps == {"train": [5, 10, 15, 20, 25, 30, 35, 40], "validation": [10, 20, 30, 40]}


def test_a_scaled_loss_changes_nothing_in_float32(tmp_path: Path) -> None:
    """Loss scaling for mixed precision: gradients are scaled back before they are applied."""
    plain, expected = _fit(tmp_path / "plain")
    scaled, actual = _fit(tmp_path / "scaled", scale_loss=True)
    for a, b in zip(plain, scaled, strict=True):
        assert dataclasses.astuple(a) == pytest.approx(dataclasses.astuple(b), rel=1e-4)
    for a, b in zip(expected.get_weights(), actual.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_regularization_losses_of_the_model_count(tmp_path: Path) -> None:
    norms = []
    for strength in (0.0, 1.0):
        model = tf.keras.Sequential([tf.keras.layers.Dense(3, kernel_regularizer=tf.keras.regularizers.L2(strength))])
        model.build([None, 6])
        model.layers[0].kernel.assign(tf.ones([6, 3]))
        hyperparameters = dataclasses.replace(_HYPERPARAMETERS, epochs=1)
        loop = TrainingLoop(model, hyperparameters, str(tmp_path / str(strength)))
        loop.fit(lambda _: _data(_SIZE, 1).batch(10), _data(60, 2).batch(25))
        norms.append(np.linalg.norm(model.layers[0].kernel))
    assert norms[1] < norms[0] * 0.97


def test_only_the_chosen_variables_are_trained(tmp_path: Path) -> None:
    head = build_head(6, _CLASSES, 16, seed=0)
    before = head.get_weights()
    optimizer = tf.keras.optimizers.AdamW(0.01)
    logits = head.get_layer("logits").trainable_variables
    loop = TrainingLoop(head, _HYPERPARAMETERS, str(tmp_path), optimizers=[(optimizer, logits)])
    loop.fit(lambda _: _data(_SIZE, 1).batch(10), _data(60, 2).batch(25))
    changed = [not np.array_equal(a, b) for a, b in zip(before, head.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


@pytest.mark.parametrize(
    "values", [{"epochs": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"batch_size": -1}]
)
def test_values_out_of_range_are_user_errors(values: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(values)).replace("_", "-")):
        Hyperparameters(**values)


def test_a_corrupt_checkpoint_folder_does_not_fake_progress(tmp_path: Path) -> None:
    _fit(tmp_path, dataclasses.replace(_HYPERPARAMETERS, epochs=2))
    shutil.rmtree(tmp_path / "latest")
    curve, _ = _fit(tmp_path)
    assert [result.epoch for result in curve] == [1, 2, 3, 4]
