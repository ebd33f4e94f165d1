"""Small pictures show what the model sees."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.report.photos import Thumbnail, make_thumbnail

UPRIGHT = Image.fromarray(np.repeat(np.repeat(np.array([[[250, 0, 0], [0, 0, 250]]], np.uint8), 40, 0), 30, 1))


def encode(image: Image.Image, exif: bytes, file_format: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, exif=exif)
    return buffer.getvalue()


def colors(thumbnail: Thumbnail) -> list[str]:
    """The larger channel of the left and of the right half."""
    content = base64.b64decode((thumbnail.data_uri or "").partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    half = pixels.shape[1] // 2
    return ["RGB"[part.mean(axis=(0, 1)).argmax()] for part in (pixels[:, :half], pixels[:, half:])]


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [(1, None), (2, Image.Transpose.FLIP_LEFT_RIGHT), (6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270)],
)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_photos_are_turned_upright(orientation: int, stored: Image.Transpose | None, file_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = UPRIGHT if stored is None else UPRIGHT.transpose(stored)
    thumbnail = make_thumbnail("a", encode(photo, exif.tobytes(), file_format))
    assert (thumbnail.width, thumbnail.height) == UPRIGHT.size
    assert colors(thumbnail) == ["R", "B"]


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b""])
def test_other_photos_stay_as_they_are_stored(exif: bytes) -> None:
    assert colors(make_thumbnail("a", encode(UPRIGHT, exif))) == ["R", "B"]
