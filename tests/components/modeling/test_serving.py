"""The exported SavedModel: its answers, through a real Transform graph and backbone, to bad input and under load."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tensorflow as tf
from photo_files import unsupported_bmps
from PIL import ExifTags, Image
from tf_examples import feature_example, raw_example

from components.evaluator.classifier import FeatureClassifier
from components.photos.decode import decode_image
from components.photos.formats import NATIVE_NAMES, any_image_format

_CLASSES = ["blue", "green", "red"]
Classify = Callable[..., dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def exported_path(export_classifier: Callable[[str], str], tiny_backbone: Path) -> str:
    return export_classifier(str(tiny_backbone))


@pytest.fixture(scope="module")
def exported(exported_path: str) -> Any:
    return tf.saved_model.load(exported_path)


@pytest.fixture(scope="module")
def classify(exported: Any) -> Classify:
    """The loaded model's `serving_default`, from photos to arrays."""

    def call(*photos: bytes) -> dict[str, Any]:
        outputs = exported.signatures["serving_default"](image_bytes=tf.constant(photos, tf.string))
        return {name: output.numpy() for name, output in outputs.items()}

    return call


def test_serving_default_describes_each_photo(exported: Any, encode_image: Callable[..., bytes]) -> None:
    photos = [encode_image((200, 40, 40), size=(60, 20)), encode_image((30, 30, 220), size=(10, 90))]
    outputs = exported.signatures["serving_default"](image_bytes=tf.constant(photos))
    probabilities = outputs["probabilities"].numpy()
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    labels = [_CLASSES[index] for index in probabilities.argmax(axis=1)]
    assert [label.decode() for label in outputs["label"].numpy()] == labels
    np.testing.assert_array_equal(outputs["score"].numpy(), probabilities.max(axis=1))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_photos_are_served_the_way_they_were_seen(exported: Any, file_format: str) -> None:
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
        image.save(buffer, file_format, quality=95, **options)
        photos.append(buffer.getvalue())
    seen, turned, lying = exported.signatures["serving_default"](image_bytes=tf.constant(photos))["probabilities"]
    np.testing.assert_allclose(turned, seen, atol=2e-3)
    assert np.abs(lying - seen).max() > 1e-2


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
        feature_example(list(vector), 0, photo, digest="d1") for vector, photo in zip(vectors, photos, strict=True)
    ]
    np.testing.assert_allclose(classify(features), served, atol=1e-6)
    np.testing.assert_allclose(classify([raw_example(photo, 0) for photo in photos]), served, atol=1e-6)
    assert (classify.backbone_digest, classify.class_names) == ("d1", _CLASSES)


class _ConvolutionalBackbone(tf.Module):
    """A convolution and a depthwise one, whose oneDNN kernels mind an empty batch."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones([3, 3, 3, 12]) / 27)
        self.depthwise = tf.Variable(tf.ones([3, 3, 12, 1]) / 9)

    @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32)])
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        maps = tf.nn.conv2d(images, self.kernel, 2, "SAME")
        maps = tf.nn.depthwise_conv2d(maps, self.depthwise, [1, 1, 1, 1], "SAME")
        return tf.reduce_mean(maps, axis=[1, 2])


def test_an_empty_batch_passes_a_convolutional_backbone(
    tmp_path: Path, export_classifier: Callable[[str], str]
) -> None:
    tf.saved_model.save(_ConvolutionalBackbone(), str(tmp_path))
    signature = tf.saved_model.load(export_classifier(str(tmp_path))).signatures["serving_default"]
    outputs = signature(image_bytes=tf.constant([], tf.string))
    assert outputs["probabilities"].shape == (0, 3)
    assert outputs["label"].shape == outputs["score"].shape == (0,)


@pytest.mark.parametrize(
    "bad", [b"<html></html>", b"", b"\0\0\0\x1cftypavif", b"\xff", b"BM", *unsupported_bmps().values()]
)
def test_what_is_no_image_is_named_by_its_place_in_the_batch(
    classify: Classify, encode_image: Callable[..., bytes], bad: bytes
) -> None:
    good = encode_image()
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"(?s)not a {any_image_format()} file.*\[1 3\]"):
        classify(good, bad, good, bad)
    assert classify(good)["probabilities"].shape == (1, 3)


@pytest.mark.parametrize("file_format", NATIVE_NAMES)
def test_a_damaged_image_fails_alone(classify: Classify, encode_image: Callable[..., bytes], file_format: str) -> None:
    photo = encode_image(file_format=file_format)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?i)invalid|incomplete|not enough|corrupt|decod"):
        classify(encode_image(), photo[: len(photo) // 3])
    assert classify(photo)["probabilities"].shape == (1, 3)


@pytest.mark.parametrize("size", [0, 1, 256])
def test_batches_of_any_size(classify: Classify, encode_image: Callable[..., bytes], size: int) -> None:
    outputs = classify(*[encode_image(seed=index) for index in range(size)])
    assert outputs["probabilities"].shape == (size, 3)
    assert outputs["label"].shape == outputs["score"].shape == (size,)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (8000, 8000)])
def test_images_of_any_size(classify: Classify, size: tuple[int, int]) -> None:
    """A photo of one colour gives the same answer at every size."""

    def plain(size: tuple[int, int]) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", size, (200, 40, 60)).save(buffer, "PNG")
        return buffer.getvalue()

    small, other = classify(plain((16, 16)), plain(size))["probabilities"]
    np.testing.assert_allclose(other, small, atol=1e-5)


@pytest.mark.parametrize("file_format", ["PNG", "BMP"])
def test_lossless_formats_agree(classify: Classify, encode_image: Callable[..., bytes], file_format: str) -> None:
    """The pixels decide, not the file."""
    photo = encode_image(file_format=file_format)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(buffer, "PNG", compress_level=0)
    first, second = classify(photo, buffer.getvalue())["probabilities"]
    np.testing.assert_array_equal(first, second)


def test_the_first_frame_of_an_animation_counts(classify: Classify) -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in ((200, 30, 30), (30, 200, 30))]
    animated, still = io.BytesIO(), io.BytesIO()
    frames[0].save(animated, "GIF", save_all=True, append_images=frames[1:])
    frames[0].save(still, "GIF")
    first, second = classify(animated.getvalue(), still.getvalue())["probabilities"]
    np.testing.assert_array_equal(first, second)


def test_webp_is_read_where_tensorflow_reads_it(classify: Classify, encode_image: Callable[..., bytes]) -> None:
    webp, png = encode_image(file_format="WEBP", lossless=True), encode_image(file_format="PNG")
    if "WebP" in NATIVE_NAMES:
        first, second = classify(webp, png)["probabilities"]
        np.testing.assert_array_equal(first, second)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="not a JPEG, PNG, GIF or BMP file"):
            classify(webp)


def test_eight_threads_get_the_same_answers(classify: Classify, encode_image: Callable[..., bytes]) -> None:
    photos = [encode_image((20 * index, 90, 200 - 20 * index), seed=index) for index in range(10)]
    expected = [classify(photo)["probabilities"] for photo in photos]

    def ask(offset: int) -> None:
        for turn in range(40):
            index = (offset + turn) % len(photos)
            np.testing.assert_array_equal(classify(photos[index])["probabilities"], expected[index])

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(ask, range(8)))


@pytest.mark.slow
def test_memory_does_not_grow(classify: Classify, encode_image: Callable[..., bytes]) -> None:
    photos = [encode_image(seed=index) for index in range(4)]
    process = psutil.Process()
    for _ in range(200):
        classify(*photos[:2])
    before = process.memory_info().rss
    for call in range(2000):
        classify(photos[call % 4])
    # A leak of one decoded photo (3.6 kB) per call would be 7 MB, of one TensorFlow trace far more.
    assert process.memory_info().rss - before < 4 * 2**20
