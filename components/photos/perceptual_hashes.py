"""Perceptual hashes, by which copies of a photo are found."""

from typing import Final, NamedTuple

import imagehash
import numpy as np
from PIL import Image

from components.photos.exif import UPRIGHT, orientation_of, turn_upright

# pHash needs 32x32 pixels, dHash fewer.
_THUMBNAIL_SIZE: Final = (32, 32)
# Standard deviation of the thumbnail's gray levels (0 to 255) below which hashes describe the noise of a blank frame.
_MIN_TEXTURE: Final = 4.0


class PerceptualHashes(NamedTuple):
    """Two hashes of a photo, 8 bytes each."""

    phash: bytes
    dhash: bytes


def perceptual_hashes(image: bytes, pixels: np.ndarray) -> PerceptualHashes | None:
    """Computes the hashes of a photo in the orientation that its EXIF data tells.

    Both hashes use gray levels only, so that recolored copies are found too. pHash is the sign of the 8x8 lowest DCT
    frequencies (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), dHash that of
    horizontal gradients.

    Args:
        image: The file.
        pixels: uint8 [height, width, 3], RGB, as stored in it.

    Returns:
        The hashes; None for a photo with so little texture that they would describe noise.
    """
    gray = Image.fromarray(pixels).convert("L").resize(_THUMBNAIL_SIZE, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if np.asarray(gray).std() < _MIN_TEXTURE:
        return None
    if (orientation := orientation_of(image)) != UPRIGHT:
        gray = Image.fromarray(turn_upright(np.asarray(gray)[..., np.newaxis], orientation).numpy()[..., 0])
    phash, dhash = (np.packbits(hashed.hash).tobytes() for hashed in (imagehash.phash(gray), imagehash.dhash(gray)))
    return PerceptualHashes(phash, dhash)
