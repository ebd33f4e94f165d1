"""Photos good and bad, made on the spot."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

JPEG = {"format": "JPEG", "quality": 90}


def scene(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A picture with large and small structures, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    fine = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    return Image.blend(coarse, fine, 0.2)


def encode(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **(options or JPEG))
    return buffer.getvalue()


def jpeg(seed: int) -> bytes:
    return encode(scene(seed))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


HTML = b"<!DOCTYPE html><html><body>404</body></html>"
TRUNCATED = jpeg(7)[:-400]
ANIMATED_GIF = encode(scene(1), format="GIF", save_all=True, append_images=[scene(2)])
