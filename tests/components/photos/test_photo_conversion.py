"""Photos that TensorFlow does not decode become JPEGs that it does."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401
import pytest
import tensorflow as tf
from PIL import ExifTags, Image, ImageOps

from components.contracts.quarantine import Reason
from components.photos.convert import ConversionError, PhotoSource, convert, convert_photo, jxl_size, source_of
from components.photos.formats import CONVERTED_FORMATS, MAX_PIXELS

pillow_heif.register_heif_opener()
NAMES = {known.pillow_name: known.name for known in CONVERTED_FORMATS}
reads_no_webp = pytest.mark.skipif("WEBP" not in NAMES, reason="this TensorFlow reads WebP")
COLORS = ((220, 40, 40), (40, 220, 40), (40, 40, 220), (230, 230, 60))


def quarters(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture of four colours, which shows how it is turned."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    for number, color in enumerate(COLORS):
        rows = slice(0, height // 2) if number < 2 else slice(height // 2, height)
        columns = slice(0, width // 2) if number % 2 == 0 else slice(width // 2, width)
        pixels[rows, columns] = color
    return Image.fromarray(pixels).convert(mode)


def encode(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def decode(image: bytes) -> np.ndarray:
    return tf.io.decode_image(image, channels=3, expand_animations=False).numpy()


def assert_looks_like(image: bytes, picture: Image.Image, tolerance: float = 12) -> None:
    found, expected = decode(image).astype(float), np.asarray(picture.convert("RGB")).astype(float)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < tolerance


@pytest.mark.parametrize("file_format", NAMES)
def test_what_is_converted_is_what_pillow_sees_and_says_what_it_was(file_format: str):
    image = encode(quarters(), file_format)
    converted = convert(image)
    assert converted.startswith(b"\xff\xd8")
    assert_looks_like(converted, quarters())
    assert source_of(converted) == PhotoSource(NAMES[file_format], hashlib.sha256(image).hexdigest())
    assert convert(image) == converted
    assert convert_photo(image) == converted


@pytest.mark.parametrize("file_format", [name for name in NAMES if name != "JXL"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_come_out_upright(file_format: str, orientation: int):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    converted = convert(encode(quarters(), file_format, exif=exif.tobytes()))
    seen = quarters()
    seen.info["exif"] = exif.tobytes()
    assert_looks_like(converted, ImageOps.exif_transpose(seen))
    assert ExifTags.Base.Orientation not in Image.open(io.BytesIO(converted)).getexif()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_that_became_jpeg_xl_comes_out_upright(orientation: int, tmp_path: Path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    jpeg = tmp_path / "photo.jpg"  # The plugin keeps a JPEG as it is when it knows its file.
    jpeg.write_bytes(encode(quarters(), "JPEG", quality=95, exif=exif.tobytes()))
    with Image.open(jpeg) as photo:
        image = encode(photo, "JXL", lossless_jpeg=True)
        assert_looks_like(convert(image), ImageOps.exif_transpose(photo))


def test_jpeg_xl_of_pixels_is_as_its_own_header_says():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    assert_looks_like(convert(encode(quarters(), "JXL", exif=exif.tobytes())), quarters())


def test_gray_stays_gray_and_of_sixteen_bits_the_upper_eight_count():
    wide = (np.linspace(0, 65535, 64 * 48).reshape(48, 64)).astype(np.uint16)
    converted = convert(encode(Image.fromarray(wide), "TIFF"))
    assert Image.open(io.BytesIO(converted)).mode == "L"
    assert_looks_like(converted, Image.fromarray((wide >> 8).astype(np.uint8)), tolerance=2)
    big_endian = Image.frombytes("I;16B", (64, 48), wide.astype(">u2").tobytes())
    assert_looks_like(convert(encode(big_endian, "TIFF")), Image.fromarray((wide >> 8).astype(np.uint8)), tolerance=2)


def test_sixteen_bits_of_each_colour():
    """Pillow writes no such file: a minimal one by hand, uncompressed."""
    wide = (np.asarray(quarters()).astype(np.uint16) * 257).astype("<u2").tobytes()
    offset = 8 + 2 + 10 * 12 + 4
    bits = offset + len(wide)
    entries = [
        (256, 3, 1, 64), (257, 3, 1, 48), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, offset),
        (277, 3, 1, 3), (278, 3, 1, 48), (279, 4, 1, len(wide)), (284, 3, 1, 1),
    ]  # fmt: skip
    header = b"II*\0" + (8).to_bytes(4, "little") + len(entries).to_bytes(2, "little")
    for tag, kind, count, value in entries:
        header += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + count.to_bytes(4, "little")
        header += value.to_bytes(4, "little")
    image = header + bytes(4) + wide + (16).to_bytes(2, "little") * 3
    assert_looks_like(convert(image), quarters())


@pytest.mark.parametrize("mode", ["CMYK", "RGBA", "P", "L", "LA", "1"])
def test_other_colour_modes_of_tiff(mode: str):
    picture = quarters("RGB").convert(mode)
    assert_looks_like(convert(encode(picture, "TIFF")), picture.convert("RGB"))


def test_the_first_page_of_a_tiff_counts():
    image = encode(quarters(), "TIFF", save_all=True, append_images=[quarters("L")])
    assert_looks_like(convert(image), quarters())


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (encode(quarters(), "AVIF", save_all=True, append_images=[quarters("L")]), Reason.ANIMATED),
        pytest.param(
            encode(quarters(), "WEBP", save_all=True, append_images=[quarters("L")]),
            Reason.ANIMATED,
            marks=reads_no_webp,
        ),
        (encode(Image.fromarray(np.zeros((8, 8), np.float32)), "TIFF"), Reason.UNSUPPORTED_FORMAT),
        (encode(quarters(), "TIFF")[:3000], Reason.TRUNCATED),
        (encode(quarters(), "HEIF")[:300], Reason.UNDECODABLE),
        (encode(quarters(), "JXL")[:40], Reason.UNDECODABLE),
        (b"\xff\x0a", Reason.UNDECODABLE),
        (b"<html>", Reason.UNDECODABLE),
        (b"", Reason.UNDECODABLE),
    ],
    ids=["animated avif", "animated webp", "float", "tiff", "heic", "jxl", "short", "html", "empty"],
)
def test_what_cannot_be_converted_stays_as_it_is(image: bytes, reason: Reason):
    with pytest.raises(ConversionError) as error:
        convert(image)
    assert error.value.reason is reason
    assert convert_photo(image) == image
    assert source_of(image) is None


BOMB_SIZE = 9000, MAX_PIXELS // 9000 + 1


def jxl_header(width: int, height: int) -> bytes:
    """The start of a JPEG XL file: encoding a picture of this size takes most of a minute."""
    # From the lowest bit: not small, 18 bits follow, height - 1, no ratio, 18 bits follow, width - 1.
    bits = 0b100 | (height - 1) << 3 | (0b10 | (width - 1) << 2) << 24
    return b"\xff\x0a" + bits.to_bytes(14, "little")


@pytest.mark.parametrize(
    "image", [encode(Image.new("L", BOMB_SIZE), "TIFF"), jxl_header(*BOMB_SIZE)], ids=["TIFF", "JXL"]
)
def test_a_bomb_is_not_decoded(image: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ConversionError, match="pixels, at most 64,000,000") as error:
        convert(image)
    assert error.value.reason is Reason.TOO_MANY_PIXELS


@pytest.mark.parametrize("size", [(8, 8), (256, 256), (320, 240), (1920, 1080), (33, 70), (512, 8), (9001, 3)])
@pytest.mark.parametrize("in_container", [False, True])
def test_the_size_of_a_jpeg_xl_is_in_its_header(size: tuple[int, int], in_container: bool):
    image = encode(Image.new("RGB", size, (1, 2, 3)), "JXL", use_container=in_container)
    assert jxl_size(image) == size


@pytest.mark.parametrize(
    "image", [b"", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\0jxlc", b"\xff\xd8\xff" + bytes(40)]
)
def test_what_is_no_jpeg_xl_has_no_size(image: bytes):
    with pytest.raises(ValueError, match="no JPEG XL header"):
        jxl_size(image)
