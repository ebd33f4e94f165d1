"""What is said of one photo by looking at its file."""

import pytest
import tensorflow as tf
from photo_files import ANIMATED_GIF, HTML, encode, jpeg, png_header, scene, unsupported_bmps

from components.contracts.quarantine import Reason
from components.photos import check
from components.photos.check import Defect, ImageCheck, check_image
from components.photos.formats import NATIVE_NAMES

MPO = encode(scene(1), format="MPO", save_all=True, append_images=[scene(2)])
APNG = encode(scene(1), format="PNG", save_all=True, append_images=[scene(2)])
WEBP = encode(scene(1), format="WEBP")
ANIMATED_WEBP = encode(scene(1), format="WEBP", save_all=True, append_images=[scene(2)])
reads_webp = pytest.mark.skipif("WebP" not in NATIVE_NAMES, reason="this TensorFlow reads no WebP")
reads_no_webp = pytest.mark.skipif("WebP" in NATIVE_NAMES, reason="this TensorFlow reads WebP")


@pytest.fixture(autouse=True)
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(check, "MAX_PIXELS", 1_000_000)


def found(image: bytes) -> Defect:
    defect = check_image(image).defect
    assert defect
    return defect


@pytest.mark.parametrize(
    ("image", "image_format", "color_mode"),
    [
        (jpeg(1), "JPEG", "RGB"),
        (encode(scene(1), format="JPEG", progressive=True), "JPEG", "RGB"),
        (encode(scene(1).convert("L"), format="JPEG"), "JPEG", "L"),
        (encode(scene(1).convert("CMYK"), format="JPEG"), "JPEG", "CMYK"),
        (MPO, "JPEG", "RGB"),
        (jpeg(1) + bytes(50), "JPEG", "RGB"),
        (encode(scene(1), format="PNG"), "PNG", "RGB"),
        (encode(scene(1).convert("RGBA"), format="PNG"), "PNG", "RGBA"),
        (encode(scene(1).convert("P"), format="PNG"), "PNG", "P"),
        (encode(scene(1), format="GIF"), "GIF", "P"),
        (encode(scene(1), format="BMP"), "BMP", "RGB"),
        pytest.param(WEBP, "WebP", "RGB", marks=reads_webp),
    ],
    ids=["jpeg", "progressive", "gray", "cmyk", "mpo", "trailing", "png", "alpha", "palette", "gif", "bmp", "webp"],
)
def test_usable_photos_are_decodable_by_tensorflow(image: bytes, image_format: str, color_mode: str) -> None:
    found = check_image(image)

    assert (found.defect, found.image_format, found.color_mode) == (None, image_format, color_mode)
    assert tf.io.decode_image(image, channels=3, expand_animations=False).shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("image", "reason", "detail"),
    [
        (b"", Reason.EMPTY, "0 bytes"),
        (HTML, Reason.NOT_AN_IMAGE, "the file is an HTML page"),
        (b"\n  <HTML lang=en>", Reason.NOT_AN_IMAGE, "the file is an HTML page"),
        (b"%PDF-1.7", Reason.NOT_AN_IMAGE, "the file is a PDF"),
        (b"no such photo", Reason.NOT_AN_IMAGE, "the file is text"),
        (bytes(1000), Reason.NOT_AN_IMAGE, "the file is unknown data starting with 00 00 00 00"),
        (encode(scene(1), format="TIFF"), Reason.UNSUPPORTED_FORMAT, "the file is TIFF"),
        pytest.param(WEBP, Reason.UNSUPPORTED_FORMAT, "the file is WebP", marks=reads_no_webp),
        pytest.param(ANIMATED_WEBP, Reason.ANIMATED, "WebP with more than one frame", marks=reads_webp),
        (ANIMATED_GIF, Reason.ANIMATED, "GIF with more than one frame"),
        (APNG, Reason.ANIMATED, "PNG with more than one frame"),
        (png_header(0, 10), Reason.UNDECODABLE, "cannot identify image file"),
        (png_header(2000, 1000), Reason.TOO_MANY_PIXELS, "2,000x1,000 pixels, at most 1,000,000"),
        (png_header(60_000, 60_000), Reason.TOO_MANY_PIXELS, "3600000000 pixels"),
        (jpeg(1) + bytes(1_000_000), Reason.TOO_MANY_BYTES, "at most 1,000,000 are allowed"),
        (png_header(10, 10), Reason.TRUNCATED, "truncated"),
        (b"BM, said the text", Reason.UNDECODABLE, ""),
        *(
            (image, Reason.UNSUPPORTED_FORMAT, "the file is BMP with a colour palette")
            for image in unsupported_bmps().values()
        ),
        (jpeg(1)[:200], Reason.TRUNCATED, ""),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else "",
)
def test_unusable_photos(image: bytes, reason: Reason, detail: str) -> None:
    defect = found(image)

    assert defect.reason is reason
    assert detail in defect.detail
    assert "\n" not in defect.detail
    assert " at 0x" not in defect.detail
    assert len(defect.detail) <= 200


@pytest.mark.parametrize("options", [{"format": "JPEG"}, {"format": "JPEG", "progressive": True}, {"format": "PNG"}])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_truncated_scan_is_found(options: dict[str, object], share: float) -> None:
    image = encode(scene(1), **options)

    assert found(image[: int(len(image) * share)]).reason is Reason.TRUNCATED


def test_every_single_corrupted_byte_gives_a_verdict() -> None:
    for image in (jpeg(1), encode(scene(1), format="GIF"), encode(scene(1), format="PNG")):
        for position in range(0, len(image), len(image) // 60):
            damaged = image[:position] + bytes([image[position] ^ 0xFF]) + image[position + 1 :]
            assert isinstance(check_image(damaged), ImageCheck)


def test_bomb_is_not_decoded_before_its_size_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.io, "decode_image", lambda *_, **__: pytest.fail("decoded"))

    assert found(png_header(30_000, 5_000)).reason is Reason.TOO_MANY_PIXELS


def test_single_pixel_photo_is_usable() -> None:
    assert check_image(encode(scene(1).resize((1, 1)), format="PNG")).defect is None
