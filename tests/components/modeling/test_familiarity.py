"""Tests of the served model's familiarity: what it means, and that the pipeline's features give what is served."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tf_examples import raw_example, write_split

from components.contracts.familiarity import UNFAMILIAR_BELOW
from components.feature_extractor.extractor import ExtractionConfig, Extractor
from components.modeling.classifier import build_classifier
from components.modeling.familiarity import Familiarity, fit_familiarity
from components.modeling.head import build_head
from components.modeling.hyperparameters import STRONG
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.serving import ServingModel, export
from components.trainer import run_fn as trainer
from components.trainer.fine_tuning import photo_features

_CLASSES = ["blue", "green", "red"]
_COLORS = [(60, 80, 170), (70, 160, 80), (170, 80, 70)]
_STRANGE = (240, 10, 240)
_BYTES_IN = {"probabilities", "label", "score"}
Encode = Callable[..., bytes]


def _photos(encode_image: Encode, number: int, first_seed: int) -> list[bytes]:
    return [encode_image(_COLORS[i % 3], size=(20 + i % 5, 24), seed=first_seed + i) for i in range(number)]


@pytest.fixture(scope="module")
def extract(transform_graph: str, tiny_backbone: Path) -> Callable[[list[bytes]], np.ndarray]:
    """FeatureExtractor's own way from photos to features."""
    extractor = Extractor(ExtractionConfig(str(tiny_backbone), "d1", transform_graph, 1, "test"))

    def features(photos: list[bytes]) -> np.ndarray:
        ((_, found),) = extractor.extract([("test", [raw_example(photo, 0) for photo in photos])])
        return found

    return features


@pytest.fixture(scope="module")
def fitted(extract: Callable[[list[bytes]], np.ndarray], encode_image: Encode) -> Familiarity:
    validation = extract(_photos(encode_image, 200, 1000))
    return fit_familiarity(extract(_photos(encode_image, 30, 0)), [validation[:150], validation[150:]])


@pytest.fixture(scope="module")
def models(
    tmp_path_factory: pytest.TempPathFactory, transform_graph: str, tiny_backbone: Path, fitted: Familiarity
) -> dict[str, Any]:
    """The same classifier, exported with familiarity and without."""
    head = build_head(12, len(_CLASSES), hidden_units=8, seed=0)
    classifier = build_classifier(str(tiny_backbone), (16, 16), head)
    found = {}
    for name, familiarity in (("with", fitted), ("without", None)):
        path = str(tmp_path_factory.mktemp(name))
        export(ServingModel(classifier, tft.TFTransformOutput(transform_graph), _CLASSES, "d1", familiarity), path)
        found[name] = tf.saved_model.load(path)
    return found


def _serve(model: Any, photos: list[bytes]) -> dict[str, np.ndarray]:
    answers = model.signatures["serving_default"](image_bytes=tf.constant(photos, tf.string))
    return {name: value.numpy() for name, value in answers.items()}


def test_it_is_the_share_of_validation_photos_that_are_less_familiar() -> None:
    train = np.array([[0.0, 4, 0], [9, 0, 0]], np.float32)
    familiarity = fit_familiarity(train, [np.array([[0, 1, 1], [1, 1, 1]], np.float32), np.eye(3, dtype=np.float32)])
    # Between both training photos, like one of them, and far from both.
    asked = tf.constant([[2.0, 2, 0], [2, 0, 0], [-1, -1, 0]])
    np.testing.assert_allclose(familiarity(asked), [1, 2 / 5, 0], atol=1e-6)


def _features_with_roots(roots: np.ndarray) -> np.ndarray:
    offset = 1e-3
    return np.asarray((roots + offset**0.5) ** 2 - offset, np.float32)


def test_what_is_near_to_everything_says_little() -> None:
    """Of two photos that are as near to their neighbours, the one whose neighbours are far apart is more familiar."""
    axes = np.eye(12)
    crowded, scattered = np.tile(axes[0], (9, 1)), 0.9 * axes[1] + np.sqrt(0.19) * axes[2:11]
    among_crowded, among_scattered = 0.8 * axes[0] + 0.6 * axes[11], 0.8 / 0.9 * axes[1] + np.sqrt(17) / 9 * axes[11]
    np.testing.assert_allclose(crowded @ among_crowded, scattered @ among_scattered)
    train = _features_with_roots(np.concatenate([crowded, scattered]))
    familiarity = fit_familiarity(train, [_features_with_roots(among_crowded[np.newaxis])])
    asked = _features_with_roots(np.stack([among_crowded, among_scattered]))
    np.testing.assert_array_equal(familiarity(tf.constant(asked)), [0, 1])


def test_features_of_the_pipeline_and_the_served_photo_are_equally_familiar(
    models: dict[str, Any], fitted: Familiarity, extract: Callable[[list[bytes]], np.ndarray], encode_image: Encode
) -> None:
    photos = _photos(encode_image, 60, 5000) + [encode_image(_STRANGE, seed=i) for i in range(3)]
    extracted = fitted(tf.constant(extract(photos))).numpy()
    # Float32 in another order may pass one of 200 validation photos.
    np.testing.assert_allclose(_serve(models["with"], photos)["familiarity"], extracted, atol=1 / 200 + 1e-6)
    assert 0.3 < extracted[:60].mean() < 0.7
    assert np.all(extracted[60:] < UNFAMILIAR_BELOW)
    examples = tf.constant([raw_example(photo, 0) for photo in photos])
    raw = models["with"].signatures["serving_tf_examples"](examples=examples)["familiarity"]
    np.testing.assert_allclose(raw, extracted, atol=1 / 200 + 1e-6)


def test_the_other_outputs_stay_what_they_are(models: dict[str, Any], encode_image: Encode) -> None:
    photos = _photos(encode_image, 9, 7000)
    told, untold = _serve(models["with"], photos), _serve(models["without"], photos)
    assert set(untold) == _BYTES_IN
    assert set(told) == _BYTES_IN | {"familiarity"}
    for name in _BYTES_IN:
        np.testing.assert_array_equal(told[name], untold[name])
    assert told["familiarity"].dtype == np.float32
    for size in (0, 1):
        assert _serve(models["with"], photos[:size])["familiarity"].shape == (size,)


@pytest.mark.slow
def test_trainer_exports_it(feature_files: Any, tmp_path: Path, tiny_backbone: Path) -> None:
    config = {"hyperparameters": {"epochs": 1, "recipe": STRONG}}
    trainer.run_fn(feature_files.fn_args(tmp_path, base_model=str(tiny_backbone), custom_config=config))
    model = tf.saved_model.load(str(tmp_path / "serving_model_dir"))
    assert "familiarity" in model.signatures["serving_default"].structured_outputs
    assert len(model.signatures["serving_tf_examples"].structured_outputs) == 4
    checkpoint = tf.train.load_checkpoint(str(tmp_path / "serving_model_dir/variables/variables"))
    shapes = [s for name, s in checkpoint.get_variable_to_shape_map().items() if "amiliar" in name]
    assert sorted(shapes) == [[12], [30], [30, 12]]


@pytest.mark.slow
def test_photos_alone_do(
    transform_graph: str, tiny_backbone: Path, fitted: Familiarity, encode_image: Encode, tmp_path: Path
) -> None:
    """A fine-tuned backbone, whose features nobody has extracted."""
    classifier = build_classifier(str(tiny_backbone), (16, 16), build_head(12, 3, hidden_units=4, seed=0))
    splits = {"train": _photos(encode_image, 30, 0), "validation": _photos(encode_image, 200, 1000)}
    files = {
        name: [write_split([raw_example(photo, i % 3) for i, photo in enumerate(photos)], tmp_path / name)]
        for name, photos in splits.items()
    }
    images = ImagePipeline(tft.TFTransformOutput(transform_graph), 16)
    train, validation = (photo_features(classifier, images.validation_batches(files[s]))[0] for s in splits)
    found = fit_familiarity(train, [validation])
    asked = tf.constant(np.random.default_rng(0).uniform(0.2, 0.7, (20, 12)), tf.float32)
    np.testing.assert_allclose(found(asked), fitted(asked), atol=1 / 200 + 1e-6)
