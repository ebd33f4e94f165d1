"""EXIF's orientation is read and applied as Pillow does it, by TensorFlow operations."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from components.photos.decode import orientation_of, read_orientation, turn_upright

SIZE = (40, 24)


def plain_jpeg() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(SIZE, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def tiff(order: str, orientation: int, before: int = 2, start: int = 8) -> bytes:
    """A TIFF header whose directory has some other entries before the orientation and one behind it."""
    entries = [struct.pack(order + "HHI4s", 0x0100 + index, 3, 1, b"\0" * 4) for index in range(before)]
    entries.append(struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0))
    entries.append(struct.pack(order + "HHII", 0x011A, 5, 1, 0))
    header = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    return header.ljust(start, b"x") + struct.pack(order + "H", len(entries)) + b"".join(entries) + b"\0" * 12


def with_exif(content: bytes, *before: bytes) -> bytes:
    jpeg = plain_jpeg()
    return jpeg[:2] + b"".join(before) + segment(0xE1, b"Exif\0\0" + content) + jpeg[2:]


read = tf.function(read_orientation, input_signature=[tf.TensorSpec([], tf.string)])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_pillows(orientation: int, order: str) -> None:
    photo = with_exif(tiff(order, orientation))
    stored = tf.io.decode_image(photo, channels=3)
    with Image.open(io.BytesIO(photo)) as image:
        exif = image.getexif()
    assert exif[0x0112] == orientation
    reference = Image.fromarray(stored.numpy())
    reference.info["exif"] = exif.tobytes()

    found = read(photo)
    assert int(found) == orientation_of(photo) == orientation
    np.testing.assert_array_equal(turn_upright(stored, found), ImageOps.exif_transpose(reference))


@pytest.mark.parametrize(
    "before",
    [
        [segment(0xE0, b"JFIF\0" + bytes(9))],
        [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), segment(0xE2, b"ICC_PROFILE\0" + bytes(3000))],
        [b"\xff\xff\xff" + segment(0xFE, b"a comment about Exif\0\0 and its orientation")],
    ],
)
def test_other_segments_may_come_first(before: list[bytes]) -> None:
    photo = with_exif(tiff(">", 6, before=20, start=26), *before)
    with Image.open(io.BytesIO(photo)) as image:
        assert image.getexif()[0x0112] == 6
    assert int(read(photo)) == orientation_of(photo) == 6


@pytest.mark.parametrize(
    "photo",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"Exif\0\0",
        b"\x89PNG\r\n\x1a\nExif\0\0" + tiff(">", 6),
        plain_jpeg(),
        with_exif(b""),
        with_exif(b"II"),
        with_exif(b"MM\0*\xff\xff\xff\xff"),
        with_exif(b"II*\0\xff\xff\xff\x7f"),
        with_exif(b"II*\0\x08\0\0\0\xff\xff"),
        with_exif(tiff("<", 0)),
        with_exif(tiff("<", 9)),
        with_exif(tiff("<", 6)[:30]),
        plain_jpeg() + segment(0xE1, b"Exif\0\0" + tiff("<", 6)),  # a picture behind the picture has its own
        b"\xff\xd8\xff\xe1\0\0Exif\0\0",
    ],
)
def test_files_without_a_sensible_orientation_are_upright(photo: bytes) -> None:
    assert int(read(photo)) == orientation_of(photo) == 1


def test_no_cut_makes_it_fail() -> None:
    photo = with_exif(tiff("<", 6))
    end = photo.index(b"Exif") + 80
    found = [int(read(photo[:length])) for length in range(end)]
    assert set(found) == {1, 6}
    assert found == sorted(found)
