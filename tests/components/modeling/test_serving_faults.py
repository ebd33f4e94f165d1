"""What the exported model does with input that nobody promised to be good, and under load."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tensorflow as tf
from PIL import Image

from components.photos.formats import NATIVE_NAMES, any_image_format

Classify = Callable[..., dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def classify(export_classifier: Callable[[str], str], tiny_backbone: Path) -> Classify:
    """The loaded model's `serving_default`, from photos to arrays."""
    model = tf.saved_model.load(export_classifier(str(tiny_backbone)))

    def call(*photos: bytes) -> dict[str, Any]:
        outputs = model.signatures["serving_default"](image_bytes=tf.constant(photos, tf.string))
        return {name: output.numpy() for name, output in outputs.items()}

    return call


@pytest.mark.parametrize("bad", [b"<html></html>", b"", b"\0\0\0\x1cftypavif", b"\xff"])
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
def test_memory_does_not_grow_over_5000_calls(classify: Classify, encode_image: Callable[..., bytes]) -> None:
    photos = [encode_image(seed=index) for index in range(4)]
    process = psutil.Process()
    for _ in range(500):
        classify(*photos[:2])
    before = process.memory_info().rss
    for call in range(5000):
        classify(photos[call % 4])
    # A leak of one decoded photo (3.6 kB) per call would be 18 MB, of one TensorFlow trace far more.
    assert process.memory_info().rss - before < 10 * 2**20
