"""Photos that TensorFlow does not decode become JPEGs that it does."""

import hashlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401
import pytest
import tensorflow as tf
from photo_files import unsupported_bmps
from PIL import ExifTags, Image, ImageOps

from components.contracts.quarantine import Reason
from components.photos.convert import ConversionError, PhotoSource, convert, convert_photo, jxl_size, source_of
from components.photos.formats import CONVERTED_FORMATS, MAX_PIXELS

pillow_heif.register_heif_opener()
NAMES = {known.pillow_name: known.name for known in CONVERTED_FORMATS if not known.is_native}
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


def tiff(*pages: tuple[bytes, int, dict[int, int]]) -> bytes:
    """An uncompressed TIFF that Pillow does not write: (pixels, bits per channel, tags besides the necessary ones)."""
    image = b"II*\0" + struct.pack("<I", 8)
    for pixels, bits, tags in pages:
        channels = len(pixels) * 8 // (64 * 48 * bits)
        entries = {256: 64, 257: 48, 258: bits, 259: 1, 262: 2 if channels == 3 else 1, 277: channels, 278: 48}
        entries |= {279: len(pixels)} | tags
        start = len(image) + 2 + 12 * (len(entries) + 1) + 4
        entries[273] = start
        image += struct.pack("<H", len(entries))
        for tag, value in sorted(entries.items()):
            is_array = tag == 258 and channels == 3
            field = (3, start + len(pixels)) if is_array else (1, value)
            image += struct.pack("<HHII", tag, 3 if tag == 258 else 4, *field)
        following = start + len(pixels) + 6
        image += (
            struct.pack("<I", following if pages[-1][0] is not pixels else 0) + pixels + struct.pack("<H", bits) * 3
        )
    return image


def wide_bytes(picture: Image.Image, factor: int) -> bytes:
    return (np.asarray(picture).astype("<u2") * factor).tobytes()


def test_sixteen_bits_of_each_colour():
    assert_looks_like(convert(tiff((wide_bytes(quarters(), 257), 16, {}))), quarters())


def test_sixteen_bits_where_zero_is_white():
    inverted = ImageOps.invert(quarters("L"))
    assert_looks_like(convert(tiff((wide_bytes(inverted, 257), 16, {262: 0}))), quarters("L"))


def test_twelve_bits_are_as_bright_as_sixteen():
    high, low = (np.asarray(quarters("L")).astype(np.uint16).reshape(-1, 2) * 16).T
    packed = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], axis=-1).astype(np.uint8).tobytes()
    assert_looks_like(convert(tiff((packed, 12, {}))), quarters("L"), tolerance=3)


REDUCED = (quarters("L").tobytes(), 8, {254: 1})
PHOTO = (quarters().tobytes(), 8, {})
TURNED = (quarters().tobytes(), 8, {274: 3})
OTHER = (bytes(64 * 48), 8, {})


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([REDUCED, PHOTO, OTHER], quarters()),
        ([(bytes(64 * 48), 8, {255: 2}), REDUCED, PHOTO], quarters()),
        ([REDUCED, TURNED], quarters().rotate(180)),
        ([PHOTO, OTHER], quarters()),
        ([REDUCED], quarters("L")),
    ],
)
def test_reduced_images_before_the_photo_are_skipped(pages: list[Any], expected: Image.Image):
    assert_looks_like(convert(tiff(*pages)), expected)


BMPS = unsupported_bmps()


@pytest.mark.parametrize("kind", BMPS)
def test_bmps_that_tensorflow_misreads_are_converted(kind: str):
    converted = convert_photo(BMPS[kind])
    assert source_of(converted) == PhotoSource("BMP", hashlib.sha256(BMPS[kind]).hexdigest())
    assert_looks_like(converted, Image.open(io.BytesIO(BMPS[kind])), tolerance=15)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_other_bmps_stay_as_they_are(mode: str):
    image = encode(quarters(mode), "BMP")
    assert convert_photo(image) == image
    np.testing.assert_array_equal(decode(image), np.asarray(Image.open(io.BytesIO(image)).convert("RGB")))


@pytest.mark.parametrize(("alpha", "transparent"), [(0, True), (100, True), (200, False)])
def test_a_converted_cut_out_is_known(alpha: int, transparent: bool):
    picture = quarters("RGBA")
    picture.paste((0, 0, 0, alpha), (0, 0, 16, 16))
    source = source_of(convert(encode(picture, "TIFF")))
    assert source is not None
    assert source.transparent is transparent


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
        (tiff((quarters("L").tobytes(), 8, {254: 1, 330: 8})), Reason.UNSUPPORTED_FORMAT),
        (encode(quarters(), "TIFF")[:3000], Reason.TRUNCATED),
        (encode(quarters(), "HEIF")[:300], Reason.UNDECODABLE),
        (encode(quarters(), "JXL")[:40], Reason.UNDECODABLE),
        (b"\xff\x0a", Reason.UNDECODABLE),
        (b"<html>", Reason.UNDECODABLE),
        (b"", Reason.UNDECODABLE),
    ],
    ids=["animated avif", "animated webp", "float", "raw", "tiff", "heic", "jxl", "short", "html", "empty"],
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
