"""Tests of fine-tuning through its `run_fn`: real photo files, Transform graph, backbone and SavedModels."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attr
import numpy as np
import pytest
import replicas
import tensorflow as tf
import tensorflow_transform as tft
from tf_examples import raw_example
from tfx.components.trainer.fn_args_utils import FnArgs

from components.common.errors import UserError
from components.contracts.training import EpochResult
from components.evaluator.classifier import FeatureClassifier
from components.modeling.classifier import last_layers
from components.modeling.hyperparameters import FineTuning, Hyperparameters
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.input_pipeline import read_serialized
from components.modeling.training_loop import TrainingLoop
from components.trainer import fine_tuning
from components.trainer.calibration import fit_scales
from components.trainer.fine_tuning import MAX_EPOCHS, epochs_within, remembered_epochs

# Batches of 9 are uneven on two devices.
_HYPERPARAMETERS = dataclasses.asdict(Hyperparameters(hidden_units=8, batch_size=9, seed=3))


@dataclasses.dataclass(frozen=True)
class _FineTuned:
    folder: Path
    model: Any

    @property
    def path(self) -> str:
        return str(self.folder / "serving_model_dir")

    def json(self, name: str) -> Any:
        return json.loads((self.folder / "model_run_dir" / name).read_text())

    def weights(self) -> dict[str, np.ndarray]:
        return _weights(self.model)


def _weights(model: Any) -> dict[str, np.ndarray]:
    return {variable.name: variable.numpy() for variable in model.backbone.variables}


@pytest.fixture(scope="module")
def base_model(export_classifier: Callable[[str], str], trainable_backbone: str) -> str:
    return export_classifier(trainable_backbone)


def _fn_args(files: Any, folder: Path, base_model: str, **values: Any) -> FnArgs:
    settings = {"learning_rate": 0.002, "epochs": 2, "layers": 0, **values}
    custom_config = {"hyperparameters": _HYPERPARAMETERS, "fine_tuning": settings}
    return files.fn_args(folder, base_model=base_model, custom_config=custom_config)


def _fine_tune(files: Any, folder: Path, base_model: str, **values: Any) -> _FineTuned:
    fine_tuning.run_fn(_fn_args(files, folder, base_model, **values))
    return _FineTuned(folder, tf.saved_model.load(str(folder / "serving_model_dir")))


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory: pytest.TempPathFactory, image_files: Any, base_model: str) -> _FineTuned:
    """All layers, 2 epochs."""
    return _fine_tune(image_files, tmp_path_factory.mktemp("fine_tuned"), base_model)


@pytest.fixture(scope="module")
def two_devices(
    tmp_path_factory: pytest.TempPathFactory, image_files: Any, base_model: str, fine_tuned: _FineTuned
) -> Path:
    """Where two devices have trained what one device has trained in `fine_tuned.folder`."""
    replicas.train_head(fine_tuned.folder)
    folder = tmp_path_factory.mktemp("two")
    values = attr.asdict(_fn_args(image_files, folder, base_model))
    (folder / "fn_args.json").write_text(json.dumps({name: value for name, value in values.items() if value}))
    process = subprocess.run(
        [sys.executable, replicas.__file__, str(folder)],
        # oneDNN's convolution, which GPUs do not use, gives an empty share of a batch the shape of its input.
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return folder


def _raw_photos(patterns: list[str]) -> list[tuple[bytes, int]]:
    records = read_serialized(patterns).as_numpy_iterator()
    return [(r, tf.train.Example.FromString(r).features.feature["label"].int64_list.value[0]) for r in records]


def _changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {name for name, value in after.items() if not np.array_equal(value, before[name])}


@pytest.mark.slow
def test_backbone_and_head_are_trained_and_the_moving_averages_are_not(fine_tuned: _FineTuned, base_model: str) -> None:
    before = tf.saved_model.load(base_model)
    changed = _changed(_weights(before), fine_tuned.weights())
    assert changed == {"first/kernel:0", "first_norm/gamma:0", "last/kernel:0"}
    assert not np.array_equal(fine_tuned.model.head_weights[0], before.head_weights[0])
    curve = fine_tuned.json("history.json")
    assert [epoch["epoch"] for epoch in curve] == [1, 2]
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert list((fine_tuned.folder / "model_run_dir" / "validation").glob("events*"))
    assert not any((fine_tuned.folder / "work").iterdir())


@pytest.mark.slow
def test_the_fine_tuned_model_goes_by_the_photo(fine_tuned: _FineTuned, encode_image: Callable[..., bytes]) -> None:
    """It takes no extracted features: they are the backbone's as it was before."""
    classify = FeatureClassifier(fine_tuned.path, "serving_tf_examples")
    assert classify.backbone_digest == ""
    photo = encode_image((60, 80, 170))
    served = fine_tuned.model.signatures["serving_default"](tf.constant([photo]))
    np.testing.assert_allclose(classify([raw_example(photo, 0)]), served["probabilities"], atol=1e-6)


@pytest.mark.slow
def test_the_fine_tuned_model_is_calibrated(image_files: Any, fine_tuned: _FineTuned) -> None:
    """No other temperature has a lower cross-entropy on the validation split."""
    (records, labels) = zip(*_raw_photos(image_files.values["eval_files"]), strict=True)
    served = fine_tuned.model.signatures["serving_tf_examples"](tf.constant(records))["probabilities"].numpy()
    (scale,) = fit_scales([np.log(served)], np.array(labels))
    assert scale == pytest.approx(1, abs=0.02)


@pytest.mark.slow
def test_last_layers_are_the_last_ones_that_the_backbone_uses(
    image_files: Any, tmp_path: Path, base_model: str
) -> None:
    """They move a tenth as far as the head in as many steps of Adam."""
    before = tf.saved_model.load(base_model)
    assert [variable.name for variable in last_layers(before.backbone, 2)] == ["first_norm/gamma:0", "last/kernel:0"]
    assert next(variable.name for variable in last_layers(before.backbone, 0)) == "first/kernel:0"
    after = _fine_tune(image_files, tmp_path, base_model, layers=1, epochs=1)
    assert _changed(_weights(before), after.weights()) == {"last/kernel:0"}
    moved = np.abs(after.weights()["last/kernel:0"] - _weights(before)["last/kernel:0"]).max()
    assert np.abs(after.model.head_weights[0] - before.head_weights[0]).max() == pytest.approx(10 * moved, rel=0.2)


@pytest.mark.slow
def test_resumed_it_ends_with_the_weights_of_an_undisturbed_one(
    image_files: Any, tmp_path: Path, base_model: str, fine_tuned: _FineTuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = TrainingLoop._save

    def save_and_stop(loop: TrainingLoop, curve: list[EpochResult]) -> None:
        save(loop, curve)
        if len(curve) == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingLoop, "_save", save_and_stop)
        _fine_tune(image_files, tmp_path, base_model)
    resumed = _fine_tune(image_files, tmp_path, base_model)
    assert not _changed(fine_tuned.weights(), resumed.weights())
    for ours, theirs in zip(resumed.model.head_weights, fine_tuned.model.head_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_two_devices_train_like_one(
    fine_tuned: _FineTuned, two_devices: Path, encode_image: Callable[..., bytes]
) -> None:
    for curve in ("head/history.json", "model_run_dir/history.json"):
        one, two = (json.loads((folder / curve).read_text()) for folder in (fine_tuned.folder, two_devices))
        assert len(one) == len(two) == 2
        for a, b in zip(one, two, strict=True):
            assert b == pytest.approx(a, rel=1e-3)
    photos = tf.constant([encode_image((60, 80, 170)), encode_image((170, 80, 70))])
    one, two = (
        model.signatures["serving_default"](photos)["probabilities"]
        for model in (fine_tuned.model, tf.saved_model.load(str(two_devices / "serving_model_dir")))
    )
    np.testing.assert_allclose(one, two, atol=1e-3)


@pytest.mark.slow
def test_gradients_of_two_devices_are_scaled_right(fine_tuned: _FineTuned, two_devices: Path) -> None:
    """Adam hides a wrong scale in the weights, but its moments show it: uneven and empty shares of a batch included."""
    one, two = (
        tf.train.load_checkpoint(str(folder / "head" / "latest")) for folder in (fine_tuned.folder, two_devices)
    )
    names = {name for name in one.get_variable_to_shape_map() if "/.OPTIMIZER_SLOT/optimizers/0/" in name}
    assert len(names) == 2 * 4
    for name in names:
        np.testing.assert_allclose(one.get_tensor(name), two.get_tensor(name), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(("seconds", "epochs"), [(-3.0, 1), (1.9, 1), (10.5, 5), (1e6, MAX_EPOCHS)])
def test_a_budget_takes_the_epochs_that_it_has_room_for(seconds: float, epochs: int) -> None:
    assert epochs_within(seconds, 2.0) == epochs


def test_a_resumed_training_does_not_choose_its_epochs_again(tmp_path: Path) -> None:
    assert remembered_epochs(tmp_path, lambda: 7) == 7
    assert remembered_epochs(tmp_path, lambda: 3) == 7


@pytest.mark.slow
def test_crops_are_smaller_than_what_is_served_where_the_backbone_takes_any_size(
    image_files: Any,
    tmp_path: Path,
    export_classifier: Callable[[str], str],
    any_size_backbone: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "components.trainer.fine_tuning"):
        outcome = _fine_tune(image_files, tmp_path, export_classifier(any_size_backbone), budget=1e-3)
    assert "crops of 13x13 pixels" in caplog.text
    ((record, _), *_) = _raw_photos(image_files.values["eval_files"])
    served = outcome.model.signatures["serving_tf_examples"](tf.constant([record]))
    assert served["probabilities"].shape == (1, 3)
    # A budget takes one epoch at least.
    assert outcome.json("fine_tuning.json")["epochs"] == len(outcome.json("history.json")) == 1


def test_other_backbones_train_on_what_is_served(trainable_backbone: str) -> None:
    assert fine_tuning._crop_size(tf.saved_model.load(trainable_backbone), (16, 16)) == (16, 16)


@pytest.mark.slow
def test_a_ruinous_learning_rate_leaves_the_model_as_it_was(
    image_files: Any, tmp_path: Path, fine_tuned: _FineTuned, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "components.trainer.fine_tuning"):
        after = _fine_tune(image_files, tmp_path, fine_tuned.path, epochs=1, learning_rate=100.0)
    assert "exported without fine-tuning" in caplog.text
    assert after.json("fine_tuning.json")["kept"] is False
    assert not _changed(fine_tuned.weights(), after.weights())


def test_a_backbone_without_trainable_variables_is_a_user_error(
    image_files: Any, tmp_path: Path, export_classifier: Callable[[str], str], tiny_backbone: Path
) -> None:
    with pytest.raises(UserError, match="without trainable variables"):
        _fine_tune(image_files, tmp_path, export_classifier(str(tiny_backbone)))


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"epochs": 0}, "--fine-tune-epochs"),
        ({"budget": 0.0}, "--budget"),
        ({"learning_rate": -1.0}, "--fine-tune-learning-rate"),
        ({"layers": -1}, "--fine-tune-layers"),
    ],
)
def test_values_out_of_range_are_user_errors(values: dict[str, float], option: str) -> None:
    with pytest.raises(UserError, match=f"^{option} is "):
        FineTuning(**values)


@pytest.mark.slow
def test_epochs_are_repeatable_and_differ(image_files: Any, transform_graph: str) -> None:
    images = ImagePipeline(tft.TFTransformOutput(transform_graph), batch_size=8)
    files = image_files.values["train_files"]

    def epoch(number: int) -> tuple[np.ndarray, np.ndarray]:
        batches = list(images.training_batches(files, (10, 12), 0.5, seed=1, epoch=number).as_numpy_iterator())
        return np.concatenate([image for image, _ in batches]), np.concatenate([label for _, label in batches])

    # No thread tunes an iterator that would wait for it in the end.
    assert images.training_batches(files, (10, 12), 0.5, seed=1, epoch=0).options().autotune.enabled is False
    (first, labels), (again, _), (second, other_labels) = epoch(0), epoch(0), epoch(1)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (30, 10, 12, 3)
    assert not np.array_equal(labels, other_labels)
    assert sorted(labels) == sorted(other_labels) == [0] * 10 + [1] * 10 + [2] * 10
    assert not np.isclose(first.mean(axis=(1, 2, 3))[:, None], second.mean(axis=(1, 2, 3)), atol=1e-6).any()


def test_validation_photos_are_served_photos(image_files: Any, transform_graph: str) -> None:
    """In the order of the files, and as Transform's graph makes them."""
    output = tft.TFTransformOutput(transform_graph)
    batches = list(ImagePipeline(output, batch_size=5).validation_batches(image_files.values["eval_files"]))
    assert [len(labels) for _, labels in batches] == [5, 5, 2]
    assert np.concatenate([labels for _, labels in batches]).tolist() == [0, 1, 2] * 4
    (record, *_) = tf.data.TFRecordDataset(tf.io.gfile.glob(image_files.values["eval_files"]), "GZIP")
    raw = tf.io.parse_example([record], output.raw_feature_spec())
    expected = output.transform_features_layer()(raw)["image_xf"][0]
    np.testing.assert_allclose(batches[0][0][0], expected, atol=1e-6)
