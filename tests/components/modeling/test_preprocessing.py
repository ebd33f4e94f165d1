"""Tests of `preprocessing_fn`, eagerly and through a real Transform graph."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import ExifTags, Image, ImageOps

from components.photos.decode import decode_image
from components.photos.formats import NATIVE_NAMES
from components.transform.preprocessing import preprocessing_fn


def _preprocess(image_bytes: bytes, size: tuple[int, int] = (8, 10)) -> np.ndarray:
    inputs = {"image": tf.constant([[image_bytes]]), "label": tf.constant([[1]]), "id": tf.constant([["a"]])}
    return preprocessing_fn(inputs, {"image_size": list(size)})["image_xf"].numpy()[0]


@pytest.mark.parametrize(
    ("file_format", "mode", "options"),
    [
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("BMP", "RGBA", {}),
        ("BMP", "L", {}),
    ],
)
def test_every_encoding_becomes_rgb_in_zero_to_one(
    encode_image: Callable[..., bytes], file_format: str, mode: str, options: dict[str, bool]
) -> None:
    color = (180, 180, 180) if mode == "L" else (200, 90, 30)
    image = _preprocess(encode_image(color, file_format=file_format, mode=mode, **options))
    assert image.shape == (8, 10, 3)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    # A GIF has few colours and CMYK is converted twice: near is enough, a swapped channel is not.
    np.testing.assert_allclose(image.mean(axis=(0, 1)), np.array(color) / 255, atol=0.08)


def test_resizing_is_the_recipes(encode_image: Callable[..., bytes]) -> None:
    """Bilinear on floats in [0, 1], without keeping the aspect ratio."""
    image_bytes = encode_image(size=(33, 21))
    pixels = tf.io.decode_jpeg(image_bytes, channels=3).numpy() / 255.0
    expected = tf.image.resize(tf.constant(pixels, tf.float32), [16, 12]).numpy()
    np.testing.assert_allclose(_preprocess(image_bytes, (16, 12)), expected, atol=1e-6)


@pytest.mark.parametrize("file_format", [name for name in ("JPEG", "PNG", "WebP") if name in NATIVE_NAMES])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright_before_they_are_resized(orientation: int, file_format: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    photo = Image.fromarray(pixels).resize((60, 40), Image.Resampling.BICUBIC)
    photo.save(buffer, file_format, quality=95, exif=exif)
    stored = Image.fromarray(tf.io.decode_image(buffer.getvalue(), channels=3, expand_animations=False).numpy())
    stored.info["exif"] = exif.tobytes()
    upright = np.asarray(ImageOps.exif_transpose(stored), np.float32) / 255
    expected = tf.image.resize(upright, [8, 10]).numpy()
    np.testing.assert_allclose(_preprocess(buffer.getvalue(), (8, 10)), expected, atol=1e-5)


def test_labels_and_ids_pass_through(encode_image: Callable[..., bytes]) -> None:
    image_bytes = encode_image()
    inputs = {
        "image": tf.constant([[image_bytes], [image_bytes]]),
        "label": tf.constant([[3], [0]], tf.int64),
        "id": tf.constant([["x"], ["y"]]),
    }
    outputs = preprocessing_fn(inputs, {"image_size": [4, 4]})
    assert outputs["label_xf"].numpy().tolist() == [3, 0]
    assert outputs["id_xf"].numpy().tolist() == [b"x", b"y"]


def test_same_result_inside_tf_data(encode_image: Callable[..., bytes]) -> None:
    image_bytes = encode_image(size=(50, 41))
    dataset = tf.data.Dataset.from_tensors(image_bytes).map(lambda photo: decode_image(photo, 8, 10))
    np.testing.assert_array_equal(next(iter(dataset)).numpy(), _preprocess(image_bytes))
