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


def bmp(bits: int, rows: bytes, size: tuple[int, int], *, compression: int = 0, tables: bytes = b"") -> bytes:
    """A BMP with the usual header; `tables` are its palette or masks, `rows` its pixels from the bottom up."""
    header = struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, compression, len(rows), 0, 0, 0, 0) + tables
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + rows


def unsupported_bmps() -> dict[str, bytes]:
    """BMPs that Pillow reads and TensorFlow does not, or not right."""
    size = (160, 120)
    pixels = np.asarray(scene(1, size))[::-1]
    red, green, blue = np.moveaxis(pixels.astype(np.uint32) >> 3, -1, 0)
    few = scene(1, size).quantize(16)
    indices = np.asarray(few)[::-1]
    rgb = np.array(few.getpalette()[:48], np.uint8).reshape(-1, 3)
    palette = np.pad(rgb[:, ::-1], ((0, 0), (0, 1)))
    large_palette = np.pad(palette, ((0, 240), (0, 0))).tobytes()
    runs = b"".join(b"".join(bytes([1, index]) for index in row) + b"\0\0" for row in indices) + b"\0\1"
    old_header = struct.pack("<IHHHH", 12, *size, 1, 24)
    old = b"BM" + struct.pack("<IHHI", 26 + pixels.size, 0, 0, 26) + old_header + pixels[..., ::-1].tobytes()
    return {
        "1 bit": encode(scene(1).convert("1"), format="BMP"),
        "4 bits": bmp(4, (indices[:, ::2] << 4 | indices[:, 1::2]).tobytes(), size, tables=palette.tobytes()),
        "16 bits": bmp(16, (red << 10 | green << 5 | blue).astype("<u2").tobytes(), size),
        "palette": encode(scene(1).convert("P"), format="BMP"),
        "runs": bmp(8, runs, size, compression=1, tables=large_palette),
        "masks": bmp(
            32,
            np.pad(pixels[..., ::-1], ((0, 0), (0, 0), (1, 0))).tobytes(),
            size,
            compression=3,
            tables=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00),
        ),
        "OS/2": old,
    }
