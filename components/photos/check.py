"""Checks of a photo's file: its format, its header, and whether it decodes.

TensorFlow decodes, because Transform and the served model do: a photo that only another library can read is unusable
here. Pillow reads the header first, so that a decompression bomb is never decoded, and explains why TensorFlow cannot
read a file. TensorFlow is imported only to decode: `predict` checks headers before it loads a model.
"""

import dataclasses
import io
import re
import warnings
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from components.common.stack import IMAGE_FORMATS
from components.contracts.quarantine import Reason
from components.photos.convert import CONVERTED_FORMATS, ConversionError, convert, source_of

# What of Pillow is used to read headers.
_PILLOW_FORMATS: Final = tuple(name.upper() for name in IMAGE_FORMATS)

# Pillow knows images only; users want to hear what else a download has left in the place of a photo.
_SIGNATURES: Final = (
    # (offset, bytes, name, is an image)
    (0, b"\xff\xd8\xff", "JPEG", True),
    (0, b"\x89PNG\r\n\x1a\n", "PNG", True),
    (0, b"GIF87a", "GIF", True),
    (0, b"GIF89a", "GIF", True),
    (0, b"BM", "BMP", True),
    (8, b"WEBP", "WebP", True),
    (0, b"II*\0", "TIFF", True),
    (0, b"MM\0*", "TIFF", True),
    (4, b"ftyphei", "HEIC", True),
    (4, b"ftypmif1", "HEIC", True),
    (4, b"ftypavif", "AVIF", True),
    (4, b"ftyp", "a video (MP4 or QuickTime)", False),
    (4, b"jP  ", "JPEG 2000", True),
    (0, b"\xff\x0a", "JPEG XL", True),
    (4, b"JXL ", "JPEG XL", True),
    (0, b"8BPS", "Photoshop", True),
    (0, b"\0\0\1\0", "an icon (ICO)", True),
    (0, b"%PDF", "a PDF", False),
    (0, b"PK\3\4", "a ZIP archive", False),
    (0, b"\x1f\x8b", "gzip data", False),
)
_MARKUP: Final = (
    (b"<!doctype html", "an HTML page", False),
    (b"<html", "an HTML page", False),
    (b"<svg", "SVG", True),
    (b"<?xml", "XML", False),
)
_HEAD_BYTES: Final = 512

# pHash reads 32x32 pixels; the other hash needs fewer.
_THUMBNAIL_SIZE: Final = (32, 32)
# Standard deviation of the thumbnail's gray levels (0 to 255) below which hashes describe the noise of a blank frame.
_MIN_TEXTURE: Final = 4.0
# TensorFlow's node names and Pillow's object addresses, which differ between runs.
_NOISE: Final = re.compile(r"\{\{.*?\}\}|\[Op:.*?\]|<\S+ object at \w+>|\s+")
_MAX_DETAIL_LENGTH: Final = 200

# `Limits.max_pixels` says what is too large; Pillow's warning would only repeat it, once per process.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class Fingerprint(NamedTuple):
    """Perceptual hashes of a photo, 8 bytes each."""

    phash: bytes
    dhash: bytes


@dataclasses.dataclass(frozen=True)
class Defect:
    """What makes a photo unusable."""

    reason: Reason
    detail: str


@dataclasses.dataclass(frozen=True)
class ImageCheck:
    """What a file turned out to be.

    Attributes:
        defect: Why it is unusable; None when it is usable.
        image_format: One of `IMAGE_FORMATS`; empty when none of them.
        converted_from: The format that it was in before it was converted; empty when it was not.
        color_mode: Pillow's, such as "RGB", "L" or "CMYK"; empty when the header could not be read.
        fingerprint: None for unusable photos and for those with too little texture.
    """

    defect: Defect | None = None
    image_format: str = ""
    color_mode: str = ""
    fingerprint: Fingerprint | None = None
    converted_from: str = ""


@dataclasses.dataclass(frozen=True)
class Limits:
    """How large a photo may be.

    Attributes:
        max_bytes: Largest file, in bytes.
        max_pixels: Largest width times height, in pixels.
    """

    max_bytes: int
    max_pixels: int


def check_image(image: bytes, limits: Limits) -> ImageCheck:
    """Checks that a photo can be trained on and served.

    Grayscale, CMYK, palette, 16-bit and progressive photos are fine: TensorFlow decodes them to RGB. Damage inside a
    JPEG's scan that leaves its end marker in place passes: libjpeg, and so every decoder at hand, only warns of it.

    Args:
        image: The file as stored.
        limits: How large it may be.

    Returns:
        The result. Never raises: whatever a broken file provokes in a decoder is a defect of that file.
    """
    import tensorflow as tf

    from components.photos.exif import orientation_of

    check = check_header(image, limits)
    if check.defect:
        return check
    try:
        pixels = tf.io.decode_image(image, channels=3, expand_animations=False).numpy()
        hashes = fingerprint(pixels, orientation_of(image))
    except Exception as error:
        return dataclasses.replace(check, defect=explain_undecodable(image, error))
    source = source_of(image)
    return dataclasses.replace(check, fingerprint=hashes, converted_from=source.format if source else "")


def check_header(image: bytes, limits: Limits) -> ImageCheck:
    """Checks a photo without decoding it: `check_image` without `fingerprint`. Needs no TensorFlow and never raises."""
    image_format, is_image = _sniff_format(image)
    defect = _check_file(image, image_format, is_image, limits)
    if defect:
        return ImageCheck(defect)
    color_mode = ""
    try:
        with Image.open(io.BytesIO(image), formats=_PILLOW_FORMATS) as header:
            color_mode = header.mode
            defect = _check_header(header, image_format, limits)
    except Image.DecompressionBombError as error:
        defect = Defect(Reason.TOO_MANY_PIXELS, _one_line(error))
    except Exception as error:
        defect = explain_undecodable(image, error)
    return ImageCheck(defect, image_format, color_mode)


def fingerprint(pixels: np.ndarray, orientation: int = 1) -> Fingerprint | None:
    """Computes the perceptual hashes of a photo as it was seen.

    Both hashes look at gray levels only, so recoloured copies are found too. pHash is the sign of the 8x8 lowest DCT
    frequencies (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), dHash that of
    horizontal gradients.

    Args:
        pixels: uint8 [height, width, 3], RGB, as stored.
        orientation: EXIF's, 1 to 8.

    Returns:
        The hashes, or None for a photo with so little texture that they would describe noise.
    """
    import imagehash

    from components.photos.exif import UPRIGHT, turn_upright

    gray = Image.fromarray(pixels).convert("L").resize(_THUMBNAIL_SIZE, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if np.asarray(gray).std() < _MIN_TEXTURE:
        return None
    if orientation != UPRIGHT:
        gray = Image.fromarray(turn_upright(np.asarray(gray)[..., np.newaxis], orientation).numpy()[..., 0])
    return Fingerprint(*(np.packbits(hashed(gray).hash).tobytes() for hashed in (imagehash.phash, imagehash.dhash)))


def _sniff_format(image: bytes) -> tuple[str, bool]:
    """Returns one of `IMAGE_FORMATS` or a description, and whether it is an image at all; names play no part."""
    head = image[:_HEAD_BYTES]
    for offset, signature, name, is_image in _SIGNATURES:
        if head.startswith(signature, offset):
            return name, is_image
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, name, is_image in _MARKUP:
        if text.startswith(start):
            return name, is_image
    if head.isascii() and b"\0" not in head:
        return "text", False
    return f"unknown data starting with {head[:4].hex(' ')}", False


def _check_file(image: bytes, image_format: str, is_image: bool, limits: Limits) -> Defect | None:
    if not image:
        return Defect(Reason.EMPTY, "0 bytes")
    if len(image) > limits.max_bytes:
        return Defect(Reason.TOO_MANY_BYTES, f"{len(image):,} bytes, at most {limits.max_bytes:,} are allowed")
    if image_format in IMAGE_FORMATS:
        return None
    detail = f"the file is {image_format}, not one of {', '.join(IMAGE_FORMATS)}"
    if not is_image:
        return Defect(Reason.NOT_AN_IMAGE, detail)
    broken = _find_damage(image) if image_format in CONVERTED_FORMATS else None
    return broken or Defect(Reason.UNSUPPORTED_FORMAT, detail)


def _find_damage(image: bytes) -> Defect | None:
    """Tells why a photo that is usually converted is not; None when it only was not asked for."""
    try:
        convert(image)
    except ConversionError as error:
        return Defect(error.reason, _one_line(error).removeprefix("ConversionError: "))
    return None


def _check_header(header: Image.Image, image_format: str, limits: Limits) -> Defect | None:
    width, height = header.size
    if width * height > limits.max_pixels:
        return Defect(
            Reason.TOO_MANY_PIXELS, f"{width:,}x{height:,} pixels, at most {limits.max_pixels:,} in all are allowed"
        )
    # A JPEG with several pictures (MPO: a preview or depth map behind the photo) is not an animation.
    if image_format != "JPEG" and getattr(header, "is_animated", False):
        return Defect(Reason.ANIMATED, f"{image_format} with more than one frame")
    return None


def explain_undecodable(image: bytes, error: Exception) -> Defect:
    """Tells a truncated file from a damaged one, after a decoder raised `error`."""
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
