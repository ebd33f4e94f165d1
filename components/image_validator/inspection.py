"""What can be said of one photo by looking at its file alone.

Decoding is TensorFlow's, because that is what Transform and the served model use: a photo that only another library can
read is of no use here. Pillow reads the header first, so that a decompression bomb is never decoded, and explains what
TensorFlow could not read.
"""

import dataclasses
import io
import re
import warnings
from typing import Final

import imagehash
import numpy as np
import tensorflow as tf
from PIL import Image

from components.image_validator.file_format import USABLE_FORMATS, FileFormat, sniff_format
from components.image_validator.photo import Finding, Fingerprint, Inspection, Reason

# pHash reads 32x32 pixels; the other hash needs fewer.
_THUMBNAIL_SIZE: Final = (32, 32)
# Standard deviation of the thumbnail's gray levels (0 to 255) below which hashes describe the noise of a blank frame.
_MIN_TEXTURE: Final = 4.0
# TensorFlow's node names and Pillow's object addresses, which differ between runs.
_NOISE: Final = re.compile(r"\{\{.*?\}\}|\[Op:.*?\]|<\S+ object at \w+>|\s+")
_MAX_DETAIL_LENGTH: Final = 200

# `Limits.max_pixels` says what is too large; Pillow's warning would only repeat it, once per process.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclasses.dataclass(frozen=True)
class Limits:
    """How large a photo may be.

    Attributes:
        max_bytes: Largest file, in bytes.
        max_pixels: Largest width times height, in pixels.
    """

    max_bytes: int
    max_pixels: int


def inspect(image: bytes, limits: Limits) -> Inspection:
    """Checks that a photo can be trained on and served.

    Grayscale, CMYK, palette, 16-bit and progressive photos are fine: TensorFlow decodes them to RGB. Damage inside a
    JPEG's scan that leaves its end marker in place passes: libjpeg, and so every decoder at hand, only warns of it.

    Args:
        image: The file as stored.
        limits: How large it may be.

    Returns:
        The finding, if any, and the fingerprint of a usable photo. Never raises: whatever a broken file provokes in a
        decoder is a finding about that file.
    """
    image_format = sniff_format(image)
    finding = _check_file(image, image_format, limits)
    if finding:
        return Inspection(finding)
    color_mode = ""
    try:
        with Image.open(io.BytesIO(image), formats=USABLE_FORMATS) as header:
            color_mode = header.mode
            finding = _check_header(header, image_format.name, limits)
        if not finding:
            pixels = tf.io.decode_image(image, channels=3, expand_animations=False).numpy()
            return Inspection(None, image_format.name, color_mode, fingerprint(pixels))
    except Image.DecompressionBombError as error:
        finding = Finding(Reason.TOO_MANY_PIXELS, _one_line(error))
    except Exception as error:
        finding = _explain(image, error)
    return Inspection(finding, image_format.name, color_mode)


def fingerprint(pixels: np.ndarray) -> Fingerprint | None:
    """Computes the perceptual hashes of a photo.

    Both hashes look at gray levels only, so recoloured copies are found too. pHash is the sign of the 8x8 lowest DCT
    frequencies (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), dHash that of
    horizontal gradients.

    Args:
        pixels: uint8 [height, width, 3], RGB.

    Returns:
        The hashes, or None for a photo with so little texture that they would describe noise.
    """
    gray = Image.fromarray(pixels).convert("L").resize(_THUMBNAIL_SIZE, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if np.asarray(gray).std() < _MIN_TEXTURE:
        return None
    return Fingerprint(_as_bytes(imagehash.phash(gray)), _as_bytes(imagehash.dhash(gray)))


def _as_bytes(image_hash: imagehash.ImageHash) -> bytes:
    return np.packbits(image_hash.hash).tobytes()


def _check_file(image: bytes, image_format: FileFormat, limits: Limits) -> Finding | None:
    if not image:
        return Finding(Reason.EMPTY, "0 bytes")
    if len(image) > limits.max_bytes:
        return Finding(Reason.TOO_MANY_BYTES, f"{len(image):,} bytes, at most {limits.max_bytes:,} are allowed")
    if image_format.name in USABLE_FORMATS:
        return None
    reason = Reason.UNSUPPORTED_FORMAT if image_format.is_image else Reason.NOT_AN_IMAGE
    return Finding(reason, f"the file is {image_format.name}, not one of {', '.join(USABLE_FORMATS)}")


def _check_header(header: Image.Image, image_format: str, limits: Limits) -> Finding | None:
    width, height = header.size
    if width * height > limits.max_pixels:
        return Finding(
            Reason.TOO_MANY_PIXELS, f"{width:,}x{height:,} pixels, at most {limits.max_pixels:,} in all are allowed"
        )
    # A JPEG with several pictures (MPO: a preview or depth map behind the photo) is not an animation.
    if image_format != "JPEG" and getattr(header, "is_animated", False):
        return Finding(Reason.ANIMATED, f"{image_format} with more than one frame")
    return None


def _explain(image: bytes, error: Exception) -> Finding:
    """Tells a file that ends early from one that is broken; only reached for files that are of no use."""
    try:
        with Image.open(io.BytesIO(image), formats=USABLE_FORMATS) as photo:
            photo.load()
    except Exception as pillow_error:
        if "truncated" in str(pillow_error).lower():
            return Finding(Reason.TRUNCATED, _one_line(pillow_error))
    return Finding(Reason.UNDECODABLE, _one_line(error))


def _one_line(error: Exception) -> str:
    text = _NOISE.sub(" ", getattr(error, "message", str(error))).strip()
    return f"{type(error).__name__}: {text}"[:_MAX_DETAIL_LENGTH]
