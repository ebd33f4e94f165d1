"""Conversion to JPEG, by Pillow, of the files that TensorFlow does not decode to the right colours.

The served model is trained on these photos but does not take their formats. A converted photo names its source in a
JPEG comment.
"""

import functools
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from components.contracts.quarantine import Reason
from components.photos.formats import CONVERTED_FORMATS, JPEG_XL, MAX_PIXELS, find_format, is_native

_JPEG_QUALITY: Final = 95
_FORMATS: Final = {known.pillow_name: known for known in CONVERTED_FORMATS}
_GRAY_MODES: Final = frozenset({"1", "L", "LA"})
_WIDE_MODES: Final = frozenset({"I", "F"})
_TRANSPARENT: Final = ", transparent"
_COMMENT: Final = re.compile(rf"Converted from ([\w ]+), SHA-256 ([0-9a-f]{{64}})({_TRANSPARENT})?".encode())
_COMMENT_WITHIN: Final = 256  # bytes: Pillow writes it first
_OPAQUE, _TRANSPARENT_SHARE = 128, 0.05
# Tags of a TIFF and their values.
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _REDUCED, _SUB_DIRECTORIES = 254, 255, 2, 330
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MIN_IS_WHITE = 258, 262, 0


class ConversionError(Exception):
    """A photo that cannot be converted, and the reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class PhotoSource:
    """The file that a photo was converted from."""

    format: str
    digest: str  # SHA-256, hexadecimal
    transparent: bool = False  # see `is_transparent`


def convert_photo(image: bytes) -> bytes:
    """Returns a photo as an upright JPEG; unchanged when TensorFlow decodes it or it cannot be converted."""
    if is_native(image):
        return image
    try:
        return convert(image)
    except ConversionError:
        return image


def convert(image: bytes) -> bytes:
    """Converts a file in one of `CONVERTED_FORMATS` to JPEG.

    The quality is 95, without chroma subsampling. Gray photos stay gray. Of more than 8 bits per channel, the upper
    eight are kept. CMYK is converted without its profile, and transparency is dropped, as TensorFlow does. Reduced
    images before the first page of a TIFF are skipped. Raises ConversionError if the file has another format, is
    animated, too large or damaged.
    """
    _load_plugins()
    try:
        if find_format(image) is JPEG_XL:
            _check_size(jxl_size(image))
        with Image.open(io.BytesIO(image), formats=tuple(_FORMATS)) as photo:
            _skip_reduced_images(photo)
            _check_size(photo.size)
            source = _FORMATS[str(photo.format)]
            if source.can_be_animated and getattr(photo, "is_animated", False):
                raise ConversionError(Reason.ANIMATED, f"{source.name} with more than one frame")
            photo.load()
            # The decoder rotates a JPEG XL according to its own header, unless it holds a JPEG.
            is_upright = photo.format == "JXL" and not getattr(photo, "jpeg", False)
            tags = getattr(photo, "tag_v2", {})
            pixels = _to_eight_bits(photo if is_upright else ImageOps.exif_transpose(photo), tags)
            comment = f"Converted from {source.name}, SHA-256 {hashlib.sha256(image).hexdigest()}"
            comment += _TRANSPARENT * is_transparent(photo)
        buffer = io.BytesIO()
        pixels.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0, comment=comment)
    except ConversionError:
        raise
    except Image.DecompressionBombError as error:
        raise ConversionError(Reason.TOO_MANY_PIXELS, str(error)) from error
    except Exception as error:  # Decoders raise many kinds on damaged files.
        is_short = "truncated" in str(error).lower()
        raise ConversionError(Reason.TRUNCATED if is_short else Reason.UNDECODABLE, str(error)) from error
    return buffer.getvalue()


def source_of(image: bytes) -> PhotoSource | None:
    """Returns what a photo was converted from, if it was."""
    found = _COMMENT.search(image[:_COMMENT_WITHIN])
    return PhotoSource(found[1].decode(), found[2].decode(), found[3] is not None) if found else None


def photo_digest(image: bytes) -> str:
    """Returns the hexadecimal SHA-256 of a photo, or that of its source when it was converted."""
    source = source_of(image)
    return source.digest if source else hashlib.sha256(image).hexdigest()


@functools.cache
def _load_plugins() -> None:
    import pillow_heif
    import pillow_jxl  # noqa: F401

    pillow_heif.register_heif_opener()


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ConversionError(
            Reason.TOO_MANY_PIXELS, f"{width:,}x{height:,} pixels, at most {MAX_PIXELS:,} in all are converted"
        )


def _skip_reduced_images(photo: Image.Image) -> None:
    """Goes to the first page of a TIFF that is not a reduced image of another one."""
    if not isinstance(photo, TiffImagePlugin.TiffImageFile):
        return
    try:
        while photo.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & 1 or photo.tag_v2.get(_SUBFILE_TYPE) == _REDUCED:
            photo.seek(photo.tell() + 1)
    except EOFError:
        photo.seek(0)
        if _SUB_DIRECTORIES in photo.tag_v2:
            raise ConversionError(Reason.UNSUPPORTED_FORMAT, "a camera's raw photo: export it as JPEG") from None


def is_transparent(photo: Image.Image) -> bool:
    """Tells whether at least 5% of the pixels are transparent: models are trained on the colours that they hide."""
    if photo.mode.startswith("I") or not photo.has_transparency_data:
        return False
    alpha = (photo if "A" in photo.getbands() else photo.convert("RGBA")).getchannel("A")
    return sum(alpha.histogram()[:_OPAQUE]) >= _TRANSPARENT_SHARE * photo.width * photo.height


def _to_eight_bits(photo: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """Converts a photo whose TIFF tags, if it has any, are `tags`."""
    if photo.mode.startswith("I;16"):
        levels = np.asarray(photo).astype(np.uint16)
        if tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE:  # Pillow inverts the other modes.
            levels = ~levels
        bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
        return Image.fromarray((levels >> (bits - 8)).astype(np.uint8))
    if photo.mode in _WIDE_MODES:
        raise ConversionError(
            Reason.UNSUPPORTED_FORMAT, "32 bits per pixel: it is not known which values are black and white"
        )
    return photo.convert("L" if photo.mode in _GRAY_MODES else "RGB")


_CODESTREAM: Final = b"\xff\x0a"
_CONTAINER: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_BOX_HEADER_BYTES, _LONG_SIZE_BYTES, _PART_NUMBER_BYTES = 8, 8, 4
_HEADER_BYTES: Final = 16
_LENGTHS: Final = (9, 13, 18, 30)
# Aspect ratios that the header may name in place of the width.
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def jxl_size(image: bytes) -> tuple[int, int]:
    """Returns width and height of a JPEG XL picture as stored (ISO/IEC 18181-1, SizeHeader); or raises ValueError."""
    stream = image if image.startswith(_CODESTREAM) else _codestream(image)
    if not stream.startswith(_CODESTREAM) or len(stream) < _HEADER_BYTES:
        raise ValueError("no JPEG XL header")
    bits = int.from_bytes(stream[2:_HEADER_BYTES], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    is_small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if is_small else take(_LENGTHS[take(2)]) + 1

    height = side()
    ratio = take(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _codestream(image: bytes) -> bytes:
    """Returns the start of the codestream in a container of boxes; empty when there is none."""
    position = len(_CONTAINER) if image.startswith(_CONTAINER) else len(image)
    while position + _BOX_HEADER_BYTES <= len(image):
        size, kind = int.from_bytes(image[position : position + 4], "big"), image[position + 4 : position + 8]
        start = position + _BOX_HEADER_BYTES
        if size == 1:
            size = int.from_bytes(image[start : start + _LONG_SIZE_BYTES], "big")
            start += _LONG_SIZE_BYTES
        if kind == b"jxlp":
            start += _PART_NUMBER_BYTES
        if kind in (b"jxlc", b"jxlp"):
            return image[start : start + _HEADER_BYTES]
        if size < _BOX_HEADER_BYTES:  # To the end, or nonsense.
            break
        position += size
    return b""
