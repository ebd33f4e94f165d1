"""Decoding of photos by TensorFlow operations, in training and in the served model alike.

`tf.io.decode_image` ignores EXIF's orientation, so it is read and applied here.
"""

from collections.abc import Callable
from typing import Final

import tensorflow as tf

UPRIGHT: Final = 1
_CHANNELS: Final = 3
_JPEG_START, _PNG_START, _WEBP_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF"
# Markers of a JPEG's segments.
_APP1, _START_OF_SCAN, _FILL, _FIRST_MARKER = 0xFFE1, 0xFFDA, 0xFFFF, 0xFF00
_EXIF: Final = b"Exif\0\0"
# What files that may have an orientation hold near their start: a WebP has EXIF data only in its extended form.
_HINTS: Final = (_EXIF, b"eXIf", b"WEBPVP8X")
_HAS_HINT: Final = rf"\C*({'|'.join(hint.decode() for hint in _HINTS)})\C*"  # \C is any byte
# EXIF data is further from the start only behind segments of the largest size.
_SEARCHED_BYTES: Final = 2**16
_MARKER_AND_LENGTH_BYTES: Final = 4
_RIFF_HEADER_BYTES, _CHUNK_HEADER_BYTES, _CRC_BYTES = 12, 8, 4
_TIFF_HEADER_BYTES, _COUNT_BYTES, _ENTRY_BYTES = 8, 2, 12
_ORIENTATION_TAG, _SHORT, _LONG = 0x0112, 3, 4
_LAST_ORIENTATION, _LAST_UNTRANSPOSED = 8, 4


def decode_image(
    image_bytes: tf.Tensor, height: int, width: int, crop: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> tf.Tensor:
    """Decodes one photo, a file that TensorFlow decodes right (`is_native`), to float32 [height, width, 3] in [0, 1].

    As in the reference recipe, it is resized bilinearly without keeping the aspect ratio. Grayscale, CMYK and
    progressive JPEGs become RGB; the first frame of a GIF is used. Photos are rotated according to EXIF. `crop` takes
    the photo as stored, uint8 [H, W, 3] not rotated yet, and returns the part that is resized, uint8 [H', W', 3].
    """
    image = tf.io.decode_image(image_bytes, channels=_CHANNELS, expand_animations=False)
    image.set_shape([None, None, _CHANNELS])
    image = tf.image.convert_image_dtype(crop(image) if crop else image, tf.float32)
    orientation = read_orientation(image_bytes)
    # Rotated after resizing, which gives the same result faster.
    size = tf.where(is_transposed(orientation), [width, height], [height, width])
    return tf.ensure_shape(turn_upright(tf.image.resize(image, size), orientation), [height, width, _CHANNELS])


def read_orientation(image_bytes: tf.Tensor) -> tf.Tensor:
    """Returns the orientation of a photo file, int32 scalar, 1 to 8.

    1 (upright) unless a JPEG, PNG or WebP has a valid one in its EXIF data; that of a PNG must be before its pixels.
    """
    # Searching for names spares most photos the walk, which takes longer than decoding a small photo.
    may_have_one = tf.strings.regex_full_match(tf.strings.substr(image_bytes, 0, _SEARCHED_BYTES), _HAS_HINT)
    return tf.cond(may_have_one, lambda: _orientation_of_tiff(_exif_of(image_bytes)), lambda: UPRIGHT)


# Many small operations, which are several times faster as one function.
_read_eagerly: Final = tf.function(read_orientation, input_signature=[tf.TensorSpec([], tf.string)])


def orientation_of(image_bytes: bytes) -> int:
    """Returns what `read_orientation` does for a single photo, outside of a graph."""
    # Most photos have no EXIF data, and calling a tf.function takes longer than decoding a small photo.
    start = image_bytes[:_SEARCHED_BYTES]
    return int(_read_eagerly(image_bytes)) if any(hint in start for hint in _HINTS) else UPRIGHT


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Rotates and mirrors an image [H, W, C] as stored; returns [H, W, C], or [W, H, C] where `is_transposed`."""
    image, orientation = tf.convert_to_tensor(image), tf.convert_to_tensor(orientation, tf.int32)

    def turned() -> tf.Tensor:
        transposed = tf.cond(is_transposed(orientation), lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        upside_down, mirrored = (tf.reduce_any(orientation == cases) for cases in ([3, 4, 7, 8], [2, 3, 6, 7]))
        return tf.reverse(transposed, tf.boolean_mask([0, 1], [upside_down, mirrored]))

    return tf.cond(orientation == UPRIGHT, lambda: image, turned)


def is_transposed(orientation: tf.Tensor) -> tf.Tensor:
    """Tells whether an orientation exchanges height and width; bool scalar."""
    return orientation > _LAST_UNTRANSPOSED


def _exif_of(image_bytes: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF data of a photo file, a TIFF header and its directories; empty without any."""
    found = tf.case(
        [
            (_starts_with(image_bytes, _JPEG_START), lambda: _exif_of_jpeg(image_bytes)),
            (_starts_with(image_bytes, _PNG_START), lambda: _chunk(image_bytes, len(_PNG_START), b"eXIf")),
            (_starts_with(image_bytes, _WEBP_START), lambda: _chunk(image_bytes, _RIFF_HEADER_BYTES, b"EXIF")),
        ],
        default=lambda: b"",
    )
    # Some writers of WebP keep the name that it has in a JPEG.
    return tf.strings.substr(found, tf.where(_starts_with(found, _EXIF), len(_EXIF), 0), tf.strings.length(found))


def _starts_with(text: tf.Tensor, start: bytes) -> tf.Tensor:
    return tf.strings.substr(text, 0, len(start)) == start


def _exif_of_jpeg(image_bytes: tf.Tensor) -> tf.Tensor:
    """Walks over the segments before the first scan to the one with EXIF data."""
    size = tf.strings.length(image_bytes)

    def is_inside(position: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        return (state == 0) & (position + _MARKER_AND_LENGTH_BYTES + len(_EXIF) <= size)

    def step(position: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del state
        header = tf.strings.substr(image_bytes, position, _MARKER_AND_LENGTH_BYTES)
        marker, length = tf.unstack(tf.cast(tf.io.decode_raw(header, tf.uint16, little_endian=False), tf.int32), 2)
        name = tf.strings.substr(image_bytes, position + _MARKER_AND_LENGTH_BYTES, len(_EXIF))
        is_exif = (marker == _APP1) & (name == _EXIF)
        is_end = (marker == _START_OF_SCAN) | (marker < _FIRST_MARKER)
        state = tf.where(is_exif, length, tf.where(is_end, -1, 0))
        # Any number of fill bytes may precede a marker.
        following = position + tf.where(marker == _FILL, 1, 2 + length)
        return tf.where(state == 0, following, position), state

    position, length = tf.while_loop(is_inside, step, [len(_JPEG_START), 0])
    begin = tf.minimum(position + _MARKER_AND_LENGTH_BYTES, size)
    return tf.strings.substr(image_bytes, begin, tf.maximum(length - 2, 0))


def _chunk(image_bytes: tf.Tensor, start: int, name: bytes) -> tf.Tensor:
    """Returns the content of a chunk of a PNG or WebP whose first chunk is at `start`; empty if there is none.

    A chunk of a PNG has its size, big-endian, before its name and ends with a checksum; one of a WebP has its size
    behind its name and is padded to an even length. The pixels of a PNG, in thousands of chunks, end the walk.
    """
    is_png = start == len(_PNG_START)
    size = tf.cast(tf.strings.length(image_bytes), tf.int64)
    half = _CHUNK_HEADER_BYTES // 2
    name_at, length_at = (half, 0) if is_png else (0, half)

    def is_inside(position: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        return (state == 0) & (position + _CHUNK_HEADER_BYTES <= size)

    def step(position: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del state
        found = tf.strings.substr(image_bytes, position + name_at, half)
        field = tf.strings.substr(image_bytes, position + length_at, half)
        length = tf.cast(tf.io.decode_raw(field, tf.int32, little_endian=not is_png)[0], tf.int64)
        is_end = (found == b"IDAT") | (length < 0)
        state = tf.where(found == name, length, tf.where(is_end, tf.constant(-1, tf.int64), 0))
        following = position + _CHUNK_HEADER_BYTES + length + (_CRC_BYTES if is_png else length % 2)
        return tf.where(state == 0, following, position), state

    position, length = tf.while_loop(is_inside, step, [tf.constant(start, tf.int64), tf.constant(0, tf.int64)])
    begin = tf.minimum(position + _CHUNK_HEADER_BYTES, size)
    return tf.strings.substr(image_bytes, begin, tf.maximum(length, 0))


def _orientation_of_tiff(tiff: tf.Tensor) -> tf.Tensor:
    """Finds the orientation among the entries of a TIFF header's first directory."""
    is_little_endian = tf.strings.substr(tiff, 0, 2) == b"II"
    low, high = ([256**power for power in powers] for powers in ([0, 1, 2, 3], [3, 2, 1, 0]))

    def number(values: tf.Tensor) -> tf.Tensor:
        """Joins the bytes of the last axis, at most four."""
        width = values.shape[-1]
        weights = tf.where(is_little_endian, tf.constant(low[:width], tf.int64), tf.constant(high[-width:], tf.int64))
        return tf.reduce_sum(values * weights, axis=-1)

    size = tf.strings.length(tiff)
    header = _bytes_of(tf.strings.substr(tiff, 0, _TIFF_HEADER_BYTES), _TIFF_HEADER_BYTES)
    start = tf.cast(tf.minimum(number(header[4:]), tf.cast(size, tf.int64)), tf.int32)
    count = number(_bytes_of(tf.strings.substr(tiff, start, _COUNT_BYTES), _COUNT_BYTES))
    rest = tf.strings.substr(tiff, tf.minimum(start + _COUNT_BYTES, size), tf.cast(count, tf.int32) * _ENTRY_BYTES)
    complete = tf.strings.length(rest) // _ENTRY_BYTES
    entries = tf.reshape(
        tf.cast(tf.io.decode_raw(tf.strings.substr(rest, 0, complete * _ENTRY_BYTES), tf.uint8), tf.int64),
        [-1, _ENTRY_BYTES],
    )
    kinds = number(entries[:, 2:4])
    matches = (
        (number(entries[:, :2]) == _ORIENTATION_TAG)
        & ((kinds == _SHORT) | (kinds == _LONG))
        & (number(entries[:, 4:8]) == 1)
    )
    values = tf.where(kinds == _LONG, number(entries[:, 8:]), number(entries[:, 8:10]))
    found = tf.cast(tf.boolean_mask(values, matches), tf.int32)
    value = tf.concat([[UPRIGHT], found], axis=0)[-1]
    is_known = (value >= UPRIGHT) & (value <= _LAST_ORIENTATION)
    return tf.where(is_known, value, UPRIGHT)


def _bytes_of(text: tf.Tensor, length: int) -> tf.Tensor:
    """Returns int64 [length], padded with 0."""
    padded = tf.strings.substr(tf.strings.join([text, b"\0" * length]), 0, length)
    return tf.ensure_shape(tf.cast(tf.io.decode_raw(padded, tf.uint8), tf.int64), [length])
