"""Tests of fine-tuning through its `run_fn`: real photos files, Transform graph, backbone and SavedModels."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tf_examples import raw_example

from components.common.errors import UserError
from components.contracts.training import EpochResult
from components.evaluator.feature_classifier import FeatureClassifier
from components.modeling.classifier import last_layers
from components.modeling.hyperparameters import AUTO_EPOCHS, FineTuning, Hyperparameters
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.input_pipeline import read_serialized
from components.modeling.training_loop import TrainingLoop
from components.trainer import fine_tuning
from components.trainer.calibration import fit_scales
from components.trainer.optimizers import fine_tuning_optimizers
from components.trainer.time_budget import MAX_EPOCHS, epochs_within, remembered_epochs

_HYPERPARAMETERS = Hyperparameters(hidden_units=8, batch_size=8, seed=3).to_dict()


@pytest.fixture(scope="module")
def base_model(export_classifier: Callable[[str], str], trainable_backbone: str) -> str:
    return export_classifier(trainable_backbone)


def _fine_tune(files: Any, folder: Path, base_model: str, **values: Any) -> Any:
    settings = {"learning_rate": 0.01, "head_learning_rate": 0.01, "epochs": 2, "layers": 0, "min_crop": 0.7, **values}
    custom_config = {"hyperparameters": _HYPERPARAMETERS, "fine_tuning": settings}
    fine_tuning.run_fn(files.fn_args(folder, base_model=base_model, custom_config=custom_config))
    return tf.saved_model.load(str(folder / "serving_model_dir"))


def _raw_photos(patterns: list[str]) -> list[tuple[bytes, int]]:
    records = read_serialized(patterns).as_numpy_iterator()
    return [(r, tf.train.Example.FromString(r).features.feature["label"].int64_list.value[0]) for r in records]


def _weights(model: Any) -> dict[str, np.ndarray]:
    return {variable.name: variable.numpy() for variable in model.backbone.variables}


def test_backbone_and_head_are_trained_and_the_moving_averages_are_not(
    image_files: Any, tmp_path: Path, base_model: str
) -> None:
    before = tf.saved_model.load(base_model)
    after = _fine_tune(image_files, tmp_path, base_model)
    changed = {name for name, value in _weights(after).items() if not np.array_equal(value, _weights(before)[name])}
    assert changed == {"first/kernel:0", "first_norm/gamma:0", "last/kernel:0"}
    assert not np.array_equal(after.head_weights[0], before.head_weights[0])
    history = json.loads((tmp_path / "model_run_dir" / "history.json").read_text())
    assert [epoch["epoch"] for epoch in history] == [1, 2]
    assert history[-1]["loss"] < history[0]["loss"]
    assert list((tmp_path / "model_run_dir" / "validation").glob("events*"))
    assert not any((tmp_path / "work").iterdir())


def test_the_fine_tuned_model_goes_by_the_photo(
    image_files: Any, tmp_path: Path, base_model: str, encode_image: Callable[..., bytes]
) -> None:
    """Features of the backbone as it was before are not this model's: there are none that it takes."""
    model = _fine_tune(image_files, tmp_path, base_model, epochs=1)
    classify = FeatureClassifier(str(tmp_path / "serving_model_dir"), "serving_tf_examples")
    assert classify.backbone_digest == ""
    photo = encode_image((60, 80, 170))
    served = model.signatures["serving_default"](tf.constant([photo]))
    np.testing.assert_allclose(classify([raw_example(photo, 0)]), served["probabilities"], atol=1e-6)


def test_last_layers_are_the_last_ones_that_the_backbone_uses(
    image_files: Any, tmp_path: Path, base_model: str
) -> None:
    before = tf.saved_model.load(base_model)
    assert [variable.name for variable in last_layers(before.backbone, 2)] == ["first_norm/gamma:0", "last/kernel:0"]
    assert next(variable.name for variable in last_layers(before.backbone, 0)) == "first/kernel:0"
    after = _fine_tune(image_files, tmp_path, base_model, layers=1, epochs=1)
    changed = {name for name, value in _weights(after).items() if not np.array_equal(value, _weights(before)[name])}
    assert changed == {"last/kernel:0"}


def test_head_and_backbone_have_rates_of_their_own(image_files: Any, tmp_path: Path, base_model: str) -> None:
    before = tf.saved_model.load(base_model)
    after = _fine_tune(image_files, tmp_path, base_model, learning_rate=1e-9, epochs=1)
    for name, value in _weights(after).items():
        np.testing.assert_allclose(value, _weights(before)[name], atol=1e-6)
    assert np.abs(after.head_weights[0] - before.head_weights[0]).max() > 1e-3


@pytest.mark.parametrize("values", [{}, {"mixup": 0.5, "ema_momentum": 0.9}])
def test_resumed_it_ends_with_the_weights_of_an_undisturbed_one(
    image_files: Any, tmp_path: Path, base_model: str, monkeypatch: pytest.MonkeyPatch, values: dict[str, float]
) -> None:
    undisturbed = _fine_tune(image_files, tmp_path / "undisturbed", base_model, epochs=3, **values)
    save = TrainingLoop._save

    def save_and_stop(loop: TrainingLoop, history: list[EpochResult]) -> None:
        save(loop, history)
        if len(history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingLoop, "_save", save_and_stop)
        _fine_tune(image_files, tmp_path / "resumed", base_model, epochs=3, **values)
    resumed = _fine_tune(image_files, tmp_path / "resumed", base_model, epochs=3, **values)
    for name, value in _weights(undisturbed).items():
        np.testing.assert_array_equal(_weights(resumed)[name], value)
    for ours, theirs in zip(resumed.head_weights, undisturbed.head_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_training_photos_are_mixed_on_request(image_files: Any, tmp_path: Path, base_model: str) -> None:
    plain = _fine_tune(image_files, tmp_path / "plain", base_model, epochs=1)
    mixed = _fine_tune(image_files, tmp_path / "mixed", base_model, epochs=1, mixup=1.0)
    assert np.abs(mixed.head_weights[0] - plain.head_weights[0]).max() > 1e-4


def _descended(ema_momentum: float) -> np.ndarray:
    """A weight after each of 2 epochs of 2 steps with the same gradient, from 0."""
    settings = FineTuning(ema_momentum=ema_momentum, weight_decay=0.0)
    weight, head = tf.Variable([0.0]), tf.Variable([0.0])
    ((optimizer, _), _) = fine_tuning_optimizers(settings, [weight], [head], epochs=2, steps_per_epoch=2)
    values = []
    for _ in range(4):
        optimizer.apply_gradients([(tf.constant([1.0]), weight)])
        values.append(weight.numpy()[0])
    return np.array(values)


def test_weights_become_their_moving_average_after_each_epoch() -> None:
    plain = _descended(0.0)
    steps = np.diff(plain, prepend=0.0)
    # Of 0 and the two weights of the epoch, then of what that gave and the next two.
    first = 0.5 * plain[1] + 0.25 * plain[0]
    second = 0.25 * first + 0.25 * (first + steps[2]) + 0.5 * (first + steps[2] + steps[3])
    np.testing.assert_allclose(_descended(0.5), [plain[0], first, first + steps[2], second], rtol=1e-5)


def test_auto_takes_one_epoch_at_least(image_files: Any, tmp_path: Path, base_model: str) -> None:
    _fine_tune(image_files, tmp_path, base_model, epochs=AUTO_EPOCHS, budget=1e-3)
    outcome = json.loads((tmp_path / "model_run_dir" / "fine_tuning.json").read_text())
    assert outcome["epochs"] == len(json.loads((tmp_path / "model_run_dir" / "history.json").read_text())) == 1


@pytest.mark.parametrize(("seconds", "epochs"), [(-3.0, 1), (1.9, 1), (10.5, 5), (1e6, MAX_EPOCHS)])
def test_auto_takes_the_epochs_that_the_budget_has_room_for(seconds: float, epochs: int) -> None:
    assert epochs_within(seconds, 2.0) == epochs


def test_a_resumed_training_does_not_choose_its_epochs_again(tmp_path: Path) -> None:
    assert remembered_epochs(tmp_path, lambda: 7) == 7
    assert remembered_epochs(tmp_path, lambda: 3) == 7


@pytest.fixture(scope="module")
def any_size_model(export_classifier: Callable[[str], str], any_size_backbone: str) -> str:
    return export_classifier(any_size_backbone)


def test_a_backbone_for_any_size_trains_on_smaller_crops(
    image_files: Any, tmp_path: Path, any_size_model: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "components.trainer.fine_tuning"):
        _fine_tune(image_files, tmp_path / "default", any_size_model, epochs=1)
        model = _fine_tune(image_files, tmp_path / "given", any_size_model, epochs=1, image_size=[12, 10])
    assert "crops of 13x13 pixels" in caplog.text
    assert "crops of 12x10 pixels" in caplog.text
    ((record, _), *_) = _raw_photos(image_files.values["eval_files"])
    assert model.signatures["serving_tf_examples"](tf.constant([record]))["probabilities"].shape == (1, 3)


def test_a_size_that_the_backbone_does_not_take_is_a_user_error(
    image_files: Any, tmp_path: Path, base_model: str
) -> None:
    """On Kubeflow another backbone can be chosen after the options were checked."""
    with pytest.raises(UserError, match="--fine-tune-image-size is 12x12, but this backbone takes images of 16x16"):
        _fine_tune(image_files, tmp_path / "other", base_model, image_size=[12, 12])


def test_a_backbone_of_one_size_trains_on_it(
    image_files: Any, tmp_path: Path, base_model: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "components.trainer.fine_tuning"):
        _fine_tune(image_files, tmp_path / "default", base_model, epochs=1)
        _fine_tune(image_files, tmp_path / "its own", base_model, epochs=1, image_size=[16, 16])
    assert caplog.text.count("crops of 16x16 pixels") == 2


def test_the_fine_tuned_model_is_calibrated(image_files: Any, tmp_path: Path, base_model: str) -> None:
    """No other temperature has a lower cross-entropy on the validation split."""
    model = _fine_tune(image_files, tmp_path, base_model, epochs=3)
    (records, labels) = zip(*_raw_photos(image_files.values["eval_files"]), strict=True)
    served = model.signatures["serving_tf_examples"](tf.constant(records))["probabilities"].numpy()
    (scale,) = fit_scales([np.log(served)], np.array(labels))
    assert scale == pytest.approx(1, abs=0.02)


def test_a_ruinous_learning_rate_leaves_the_model_as_it_was(
    image_files: Any, tmp_path: Path, base_model: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = _fine_tune(image_files, tmp_path / "good", base_model)
    good_path = str(tmp_path / "good" / "serving_model_dir")
    with caplog.at_level(logging.WARNING, "components.trainer.fine_tuning"):
        after = _fine_tune(
            image_files, tmp_path / "bad", good_path, epochs=1, learning_rate=100.0, head_learning_rate=100.0
        )
    assert "stays as it was" in caplog.text
    for name, value in _weights(after).items():
        np.testing.assert_array_equal(value, _weights(good)[name])


def test_a_backbone_without_trainable_variables_is_a_user_error(
    image_files: Any, tmp_path: Path, export_classifier: Callable[[str], str], tiny_backbone: Path
) -> None:
    with pytest.raises(UserError, match="without trainable variables"):
        _fine_tune(image_files, tmp_path, export_classifier(str(tiny_backbone)))


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": -1},
        {"budget": 0.0},
        {"min_crop": 0.0},
        {"learning_rate": -1.0},
        {"layers": -1},
        {"ema_momentum": 1.0},
    ],
)
def test_values_out_of_range_are_user_errors(values: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"fine_tune_{next(iter(values))}"):
        FineTuning(**values)


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
