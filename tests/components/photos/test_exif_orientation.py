"""EXIF's orientation is read and applied as Pillow does it, by TensorFlow operations."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from components.photos.decode import orientation_of, read_orientation, turn_upright

SIZE = (40, 24)


def photo_file(file_format: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(SIZE, Image.Resampling.BICUBIC).save(buffer, file_format, **options)
    return buffer.getvalue()


def plain_jpeg() -> bytes:
    return photo_file("JPEG", quality=95)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def tiff(order: str, orientation: int, before: int = 2, start: int = 8, kind: str = "H") -> bytes:
    """A TIFF header whose directory has some other entries before the orientation and one behind it."""
    entries = [struct.pack(order + "HHI4s", 0x0100 + index, 3, 1, b"\0" * 4) for index in range(before)]
    entries.append(struct.pack(f"{order}HHI{kind}", 0x0112, {"H": 3, "I": 4}[kind], 1, orientation).ljust(12, b"\0"))
    entries.append(struct.pack(order + "HHII", 0x011A, 5, 1, 0))
    header = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    return header.ljust(start, b"x") + struct.pack(order + "H", len(entries)) + b"".join(entries) + b"\0" * 12


def with_exif(content: bytes, *before: bytes) -> bytes:
    jpeg = plain_jpeg()
    return jpeg[:2] + b"".join(before) + segment(0xE1, b"Exif\0\0" + content) + jpeg[2:]


read = tf.function(read_orientation, input_signature=[tf.TensorSpec([], tf.string)])


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG; nothing here looks at its checksum."""
    return struct.pack(">I", len(content)) + name + content + bytes(4)


def extended_webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP with a colour profile and some more chunks behind its pixels."""
    more = b"".join(
        name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2) for name, content in chunks
    )
    return photo_file("WEBP", icc_profile=b"profile") + more


@pytest.mark.parametrize("kind", ["H", "I"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_pillows(orientation: int, file_format: str, order: str, kind: str) -> None:
    photo = photo_file(file_format, exif=b"Exif\0\0" + tiff(order, orientation, kind=kind))
    with Image.open(io.BytesIO(photo)) as image:
        assert image.getexif()[0x0112] == orientation
        stored, expected = np.asarray(image), np.asarray(ImageOps.exif_transpose(image))

    found = read(photo)
    assert int(found) == orientation_of(photo) == orientation
    np.testing.assert_array_equal(turn_upright(stored, found), expected)


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


PNG = photo_file("PNG")
PNG_HEADER = PNG[: PNG.index(b"IDAT") - 4]


@pytest.mark.parametrize(
    "photo",
    [
        PNG_HEADER + chunk(b"iCCP", bytes(3001)) + chunk(b"eXIf", tiff("<", 6)) + PNG[len(PNG_HEADER) :],
        PNG_HEADER + chunk(b"tEXt", b"eXIf") + chunk(b"eXIf", b"Exif\0\0" + tiff(">", 6)) + PNG[len(PNG_HEADER) :],
        extended_webp((b"EXIF", tiff(">", 6))),
        extended_webp((b"XMP ", b"odd"), (b"EXIF", b"Exif\0\0" + tiff("<", 6))),
    ],
)
def test_other_chunks_may_come_first(photo: bytes) -> None:
    assert int(read(photo)) == orientation_of(photo) == 6


@pytest.mark.parametrize(
    "photo",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"Exif\0\0",
        b"\x89PNG\r\n\x1a\nExif\0\0" + tiff(">", 6),
        PNG_HEADER + chunk(b"eXIf", b""),
        PNG_HEADER + b"\xff\xff\xff\xffeXIf" + tiff("<", 6),
        PNG_HEADER + b"\xff\xff\xff\x7ftEXteXIf",
        PNG + chunk(b"eXIf", tiff("<", 6)),  # behind the pixels
        PNG_HEADER + chunk(b"tEXt", b"eXIf" + tiff("<", 6)) + PNG[len(PNG_HEADER) :],
        extended_webp(),
        extended_webp((b"EXIF", b"")),
        b"RIFF\0\0\0\0WEBPVP8X",
        b"RIFF\0\0\0\0WEBPVP8X\xff\xff\xff\xff",
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


@pytest.mark.parametrize(
    "photo",
    [
        with_exif(tiff("<", 6))[:100],
        (PNG_HEADER + chunk(b"eXIf", tiff("<", 6))),
        extended_webp((b"EXIF", tiff("<", 6))),
    ],
    ids=["JPEG", "PNG", "WebP"],
)
def test_no_cut_makes_it_fail(photo: bytes) -> None:
    found = [int(read(photo[:length])) for length in range(len(photo) + 1)]
    assert set(found) == {1, 6}
    assert found == sorted(found)
