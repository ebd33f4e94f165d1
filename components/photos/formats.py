"""The table of image formats: how a file is recognized, what decodes it, and how large it may be.

A new format is a row here and, unless TensorFlow or Pillow decodes it already, a decoder in `photos.convert`.
"""

from dataclasses import dataclass
from typing import Final

from components.common.stack import IS_NEWER

MAX_PIXELS: Final = 64_000_000
MAX_BYTES: Final = 64 * 2**20


@dataclass(frozen=True)
class ImageFormat:
    """How one format is recognized and decoded."""

    name: str  # in messages
    pillow_name: str
    signatures: tuple[tuple[int, bytes], ...]  # (offset, bytes), one of which a file of this format has
    suffixes: tuple[str, ...]  # in lower case
    is_native: bool  # decoded by TensorFlow; otherwise `photos.convert` makes a JPEG of it during ingestion
    can_be_animated: bool = False  # otherwise several pictures are pages, bursts or previews, and the first one counts
    # Layouts that TensorFlow decodes to the right colours, each some (offset, bytes) besides the signature; the other
    # files of a native format are converted, too. Empty if it decodes all.
    native_layouts: tuple[tuple[tuple[int, bytes], ...], ...] = ()


_GRAY_PALETTE: Final = b"".join(bytes([level, level, level, 0]) for level in range(256))
_BGR_MASKS: Final = b"\0\0\xff\0\0\xff\0\0\xff\0\0\0"
# TensorFlow reads a BMP's palette indices as gray levels, and ignores compression and the masks of the channels.
_BMP_LAYOUTS: Final = (  # planes, bits per pixel and compression; then, behind the usual header, palette or masks
    ((26, b"\1\0\x18\0\0\0\0\0"),),
    ((26, b"\1\0\x20\0\0\0\0\0"),),
    ((26, b"\1\0\x20\0\3\0\0\0"), (54, _BGR_MASKS)),
    ((26, b"\1\0\x08\0\0\0\0\0"), (54, _GRAY_PALETTE)),
)
UNSUPPORTED_BMP: Final = "BMP with a colour palette, compression, or other than 8, 24 or 32 bits"
JPEG: Final = ImageFormat(
    "JPEG", "JPEG", ((0, b"\xff\xd8\xff"),), (".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg"), is_native=True
)
JPEG_XL: Final = ImageFormat("JPEG XL", "JXL", ((0, b"\xff\x0a"), (4, b"JXL ")), (".jxl",), is_native=False)
# TensorFlow recognizes the formats that it decodes by the same bytes.
FORMATS: Final = (
    JPEG,
    ImageFormat("PNG", "PNG", ((0, b"\x89PNG"),), (".png",), is_native=True, can_be_animated=True),
    ImageFormat("GIF", "GIF", ((0, b"GIF8"),), (".gif",), is_native=True, can_be_animated=True),
    ImageFormat("BMP", "BMP", ((0, b"BM"),), (".bmp",), is_native=True, native_layouts=_BMP_LAYOUTS),
    ImageFormat("WebP", "WEBP", ((8, b"WEBP"),), (".webp",), is_native=IS_NEWER, can_be_animated=True),
    ImageFormat("TIFF", "TIFF", ((0, b"II*\0"), (0, b"MM\0*")), (".tif", ".tiff"), is_native=False),
    ImageFormat("HEIC", "HEIF", ((4, b"ftyphei"), (4, b"ftypmif1")), (".heic", ".heif", ".hif"), is_native=False),
    ImageFormat("AVIF", "AVIF", ((4, b"ftypavif"),), (".avif",), is_native=False, can_be_animated=True),
    JPEG_XL,
)
NATIVE_FORMATS: Final = tuple(known for known in FORMATS if known.is_native)
NATIVE_NAMES: Final = tuple(known.name for known in NATIVE_FORMATS)
# TensorFlow decodes a file that has all (offset, bytes) of one of these.
NATIVE_LAYOUTS: Final = tuple(
    (signature, *layout)
    for known in NATIVE_FORMATS
    for signature in known.signatures
    for layout in known.native_layouts or ((),)
)
NATIVE_SUFFIXES: Final = tuple(suffix for known in NATIVE_FORMATS for suffix in known.suffixes)
CONVERTED_FORMATS: Final = tuple(known for known in FORMATS if not known.is_native or known.native_layouts)
ACCEPTED_SUFFIXES: Final = tuple(suffix for known in FORMATS for suffix in known.suffixes)

# What else a download may have left in the place of a photo, for messages: offset, bytes, name, whether it is an image.
_OTHER_FILES: Final = (
    (4, b"ftyp", "a video (MP4 or QuickTime)", False),
    (4, b"jP  ", "JPEG 2000", True),
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


def any_image_format() -> str:
    """Returns the formats that TensorFlow decodes, for a sentence: `JPEG, PNG, GIF or BMP`."""
    *others, last = NATIVE_NAMES
    return f"{', '.join(others)} or {last}"


def find_format(image: bytes) -> ImageFormat | None:
    """Returns the format of a file by its first bytes; its name plays no part."""
    matches = (known for known in FORMATS if any(image.startswith(start, offset) for offset, start in known.signatures))
    return next(matches, None)


def is_native(image: bytes) -> bool:
    """Tells whether TensorFlow decodes a file to the right colours; otherwise `photos.convert` is needed."""
    return any(all(image.startswith(part, offset) for offset, part in layout) for layout in NATIVE_LAYOUTS)


def describe_other_file(image: bytes) -> tuple[str, bool]:
    """Returns what a file of no known format is, in words, and whether it is an image."""
    head = image[:_HEAD_BYTES]
    for offset, signature, name, is_image in _OTHER_FILES:
        if head.startswith(signature, offset):
            return name, is_image
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, name, is_image in _MARKUP:
        if text.startswith(start):
            return name, is_image
    if head.isascii() and b"\0" not in head:
        return "text", False
    return f"unknown data starting with {head[:4].hex(' ')}", False
