"""The size of a JPEG XL picture, from its header: the plugin of Pillow decodes whatever it opens."""

from typing import Final

_CODESTREAM: Final = b"\xff\x0a"
_CONTAINER: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_BOX_HEADER_BYTES, _LONG_SIZE_BYTES, _PART_NUMBER_BYTES = 8, 8, 4
_HEADER_BYTES: Final = 16
_LENGTHS: Final = (9, 13, 18, 30)
# Width to height, where the header says no more than which of these it is.
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def jxl_size(image: bytes) -> tuple[int, int]:
    """Returns width and height of a JPEG XL picture as stored (ISO/IEC 18181-1, SizeHeader).

    Raises:
        ValueError: It is none, or ends early.
    """
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
    """Returns the beginning of the codestream in a container of boxes; empty when there is none."""
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
