"""Tells what a file really is from its first bytes, whatever its name says."""

import dataclasses
from typing import Final

# What tf.io.decode_image reads, in Pillow's names.
USABLE_FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP")

_HEAD_BYTES: Final = 512


@dataclasses.dataclass(frozen=True)
class FileFormat:
    """What a file is, as far as its first bytes tell.

    Attributes:
        name: One of `USABLE_FORMATS`, or a description such as "WebP" or "an HTML page".
        is_image: Whether it is a photo at all.
    """

    name: str
    is_image: bool


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


def sniff_format(data: bytes) -> FileFormat:
    """Returns what a file is, by its magic number.

    Args:
        data: The whole file, or at least its first 512 bytes.
    """
    head = data[:_HEAD_BYTES]
    for offset, signature, name, is_image in _SIGNATURES:
        if head.startswith(signature, offset):
            return FileFormat(name, is_image)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, name, is_image in _MARKUP:
        if text.startswith(start):
            return FileFormat(name, is_image)
    if head.isascii() and b"\0" not in head:
        return FileFormat("text", False)
    return FileFormat(f"unknown data starting with {head[:4].hex(' ')}", False)
