"""Whether a photo can be trained on and served: TensorFlow decodes it, as it does in Transform and the served model.

Pillow reads the header first, so that a decompression bomb is never decoded, and explains why TensorFlow could not
decode a file. TensorFlow is imported only to decode: `predict` checks headers before it loads a model.
"""

import dataclasses
import io
import re
import warnings
from typing import Final

import numpy as np
from PIL import Image

from components.contracts.quarantine import Reason
from components.photos.convert import ConversionError, convert, source_of
from components.photos.formats import (
    MAX_BYTES,
    MAX_PIXELS,
    NATIVE_FORMATS,
    NATIVE_NAMES,
    UNSUPPORTED_BMP,
    ImageFormat,
    describe_other_file,
    find_format,
    is_native,
)

_PILLOW_FORMATS: Final = tuple(known.pillow_name for known in NATIVE_FORMATS)
# TensorFlow's node names and Pillow's object addresses, which differ between runs.
_NOISE: Final = re.compile(r"\{\{.*?\}\}|\[Op:.*?\]|<\S+ object at \w+>|\s+")
_MAX_DETAIL_LENGTH: Final = 200

# `MAX_PIXELS` decides; Pillow's warning would only repeat it, once per process.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclasses.dataclass(frozen=True)
class Defect:
    """Why a photo is unusable."""

    reason: Reason
    detail: str


@dataclasses.dataclass(frozen=True)
class ImageCheck:
    """The result of a check."""

    defect: Defect | None = None  # None for a usable photo
    image_format: str = ""  # one of `NATIVE_NAMES`, or empty
    color_mode: str = ""  # Pillow's, such as "RGB", "L" or "CMYK"; empty when the header cannot be read
    converted_from: str = ""  # the format before its conversion; empty when it was not converted


def check_image(image: bytes) -> ImageCheck:
    """Does what `check_and_decode` does, without the pixels."""
    return check_and_decode(image)[0]


def check_and_decode(image: bytes) -> tuple[ImageCheck, np.ndarray | None]:
    """Checks a photo and returns its pixels, uint8 [height, width, 3] as stored, when it is usable.

    Never raises: any exception of a decoder is a defect of the file. Damage inside a JPEG's scan that leaves its end
    marker in place passes, because libjpeg only warns of it.
    """
    import tensorflow as tf

    check = check_header(image)
    if check.defect:
        return check, None
    try:
        return check, tf.io.decode_image(image, channels=3, expand_animations=False).numpy()
    except Exception as error:
        return ImageCheck(explain_undecodable(image, error), check.image_format, check.color_mode), None


def check_header(image: bytes) -> ImageCheck:
    """Checks the size, format and header of a photo; never raises."""
    image_format = find_format(image)
    defect = _check_file(image, image_format)
    if defect or not image_format:
        return ImageCheck(defect)
    color_mode, converted_from = "", ""
    try:
        with Image.open(io.BytesIO(image), formats=_PILLOW_FORMATS) as header:
            color_mode = header.mode
            defect = _check_frames(header, image_format)
        if not defect and (source := source_of(image)):
            converted_from = source.format
    except Image.DecompressionBombError as error:
        defect = Defect(Reason.TOO_MANY_PIXELS, _one_line(error))
    except Exception as error:
        defect = explain_undecodable(image, error)
    return ImageCheck(defect, image_format.name, color_mode, converted_from)


def _check_file(image: bytes, image_format: ImageFormat | None) -> Defect | None:
    if not image:
        return Defect(Reason.EMPTY, "0 bytes")
    if len(image) > MAX_BYTES:
        return Defect(Reason.TOO_MANY_BYTES, f"{len(image):,} bytes, at most {MAX_BYTES:,} are allowed")
    if is_native(image):
        return None
    name, is_image = (image_format.name, True) if image_format else describe_other_file(image)
    if image_format:  # A user's own photos are converted first: this one could not be.
        try:
            convert(image)
        except ConversionError as error:
            return Defect(error.reason, _one_line(error).removeprefix("ConversionError: "))
    is_bmp = image_format in NATIVE_FORMATS
    detail = f"the file is {UNSUPPORTED_BMP if is_bmp else name}, not one of {', '.join(NATIVE_NAMES)}"
    return Defect(Reason.UNSUPPORTED_FORMAT if is_image else Reason.NOT_AN_IMAGE, detail)


def _check_frames(header: Image.Image, image_format: ImageFormat) -> Defect | None:
    width, height = header.size
    if width * height > MAX_PIXELS:
        return Defect(Reason.TOO_MANY_PIXELS, f"{width:,}x{height:,} pixels, at most {MAX_PIXELS:,} in all are allowed")
    if image_format.can_be_animated and getattr(header, "is_animated", False):
        return Defect(Reason.ANIMATED, f"{image_format.name} with more than one frame")
    return None


def explain_undecodable(image: bytes, error: Exception) -> Defect:
    """Distinguishes a truncated photo from a damaged one, after a decoder raised `error`."""
    try:
        with Image.open(io.BytesIO(image), formats=_PILLOW_FORMATS) as photo:
            photo.load()
    except Exception as pillow_error:
        if "truncated" in str(pillow_error).lower():
            return Defect(Reason.TRUNCATED, _one_line(pillow_error))
    return Defect(Reason.UNDECODABLE, _one_line(error))


def _one_line(error: Exception) -> str:
    text = _NOISE.sub(" ", getattr(error, "message", str(error))).strip()
    return f"{type(error).__name__}: {text}"[:_MAX_DETAIL_LENGTH]
