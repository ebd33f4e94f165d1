"""Tests of the exported SavedModel, through a real Transform graph and a real backbone."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from PIL import ExifTags, Image
from tf_examples import feature_example, raw_example

from components.evaluator.classifier import FeatureClassifier
from components.modeling.classifier import build_classifier
from components.modeling.head import build_head
from components.modeling.serving import ServingModel, export
from components.photos.decode import decode_image

_CLASSES = ["blue", "green", "red"]
_DIGEST = "d1"


@pytest.fixture(scope="module")
def exported_path(tmp_path_factory: pytest.TempPathFactory, transform_graph: str, tiny_backbone: Path) -> str:
    head = build_head(12, len(_CLASSES), hidden_units=8, seed=0)
    classifier = build_classifier(str(tiny_backbone), (16, 16), head)
    path = str(tmp_path_factory.mktemp("model"))
    export(ServingModel(classifier, tft.TFTransformOutput(transform_graph), _CLASSES, _DIGEST), path)
    return path


@pytest.fixture(scope="module")
def exported(exported_path: str) -> Any:
    return tf.saved_model.load(exported_path)


def test_serving_default_describes_each_photo(exported: Any, encode_image: Callable[..., bytes]) -> None:
    photos = [encode_image((200, 40, 40), size=(60, 20)), encode_image((30, 30, 220), size=(10, 90))]
    outputs = exported.signatures["serving_default"](image_bytes=tf.constant(photos))
    probabilities = outputs["probabilities"].numpy()
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    labels = [_CLASSES[index] for index in probabilities.argmax(axis=1)]
    assert [label.decode() for label in outputs["label"].numpy()] == labels
    np.testing.assert_array_equal(outputs["score"].numpy(), probabilities.max(axis=1))


def test_photos_are_served_the_way_they_were_seen(exported: Any) -> None:
    """A batch of an upright photo, of the same one from a turned camera, and of that one without its EXIF data."""
    upright = Image.fromarray(np.repeat(np.array([[[250, 0, 0]], [[0, 0, 250]]], np.uint8), 48, 0).repeat(32, 1))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photos = []
    for image, options in (
        (upright, {}),
        (upright.transpose(Image.Transpose.ROTATE_90), {"exif": exif}),
        (upright.transpose(Image.Transpose.ROTATE_90), {}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=95, **options)
        photos.append(buffer.getvalue())
    seen, turned, lying = exported.signatures["serving_default"](image_bytes=tf.constant(photos))["probabilities"]
    np.testing.assert_allclose(turned, seen, atol=2e-3)
    assert np.abs(lying - seen).max() > 1e-2


@pytest.mark.parametrize("size", [0, 1, 64])
def test_any_batch_size_is_served(exported: Any, encode_image: Callable[..., bytes], size: int) -> None:
    outputs = exported.signatures["serving_default"](image_bytes=tf.constant([encode_image()] * size, tf.string))
    assert outputs["probabilities"].shape == (size, 3)
    assert outputs["label"].shape == (size,)


def test_raw_examples_give_the_same_answer(exported: Any, encode_image: Callable[..., bytes]) -> None:
    photo = encode_image((20, 200, 90))
    served = exported.signatures["serving_default"](image_bytes=tf.constant([photo]))
    raw = exported.signatures["serving_tf_examples"](examples=tf.constant([raw_example(photo, 1)]))
    np.testing.assert_allclose(raw["probabilities"], served["probabilities"], atol=1e-6)


def test_evaluator_gets_from_features_what_is_served(
    exported: Any, exported_path: str, encode_image: Callable[..., bytes]
) -> None:
    """Features of the model's own backbone go to its classification layers, which are read alone; photos are served."""
    photos = [encode_image((210, 210, 20), size=(16, 16)), encode_image((20, 30, 220), size=(16, 16))]
    classify = FeatureClassifier(exported_path, "serving_tf_examples")
    served = exported.signatures["serving_default"](image_bytes=tf.constant(photos))["probabilities"]
    vectors = exported.backbone(tf.stack([decode_image(photo, 16, 16) for photo in photos]), False).numpy()
    features = [
        feature_example(list(vector), 0, photo, digest=_DIGEST) for vector, photo in zip(vectors, photos, strict=True)
    ]
    np.testing.assert_allclose(classify(features), served, atol=1e-6)
    np.testing.assert_allclose(classify([raw_example(photo, 0) for photo in photos]), served, atol=1e-6)
    assert (classify.backbone_digest, classify.class_names) == (_DIGEST, _CLASSES)


def test_a_file_that_is_no_image_is_refused(exported: Any) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?i)unknown image|unsupported|JPEG, PNG"):
        exported.signatures["serving_default"](image_bytes=tf.constant([b"<html></html>"]))


class _ConvolutionalBackbone(tf.Module):
    """A convolution and a depthwise one, whose oneDNN kernels mind an empty batch."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones([3, 3, 3, 8]) / 27)
        self.depthwise = tf.Variable(tf.ones([3, 3, 8, 1]) / 9)

    @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32)])
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        maps = tf.nn.conv2d(images, self.kernel, 2, "SAME")
        maps = tf.nn.depthwise_conv2d(maps, self.depthwise, [1, 1, 1, 1], "SAME")
        return tf.reduce_mean(maps, axis=[1, 2])


def test_an_empty_batch_passes_a_convolutional_backbone(tmp_path: Path, transform_graph: str) -> None:
    tf.saved_model.save(_ConvolutionalBackbone(), str(tmp_path / "backbone"))
    head = build_head(8, len(_CLASSES), hidden_units=4, seed=0)
    classifier = build_classifier(str(tmp_path / "backbone"), (16, 16), head)
    model = ServingModel(classifier, tft.TFTransformOutput(transform_graph), _CLASSES, _DIGEST)
    export(model, str(tmp_path / "model"))
    signature = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    outputs = signature(image_bytes=tf.constant([], tf.string))
    assert outputs["probabilities"].shape == (0, 3)
    assert outputs["label"].shape == outputs["score"].shape == (0,)
