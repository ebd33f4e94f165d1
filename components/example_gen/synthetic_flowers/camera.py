"""What a camera does to a scene: light, lens, sensor and JPEG."""

import functools
import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from components.example_gen.synthetic_flowers.palette import chance

_TILE = 512
_MAX_SIDE = 400
_LEAST_BLUR = 0.3  # pixels


@functools.lru_cache(maxsize=1)
def _noise_tile() -> npt.NDArray[np.float32]:
    """Unit-variance noise that every photo takes a different window of: drawing it anew costs more than the flower."""
    return np.random.default_rng(0).standard_normal((_TILE + _MAX_SIDE, _TILE + _MAX_SIDE, 3), np.float32)


def expose(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Applies light, colour temperature, vignette, contrast, blur and sensor noise.

    Args:
        image: The scene, RGB, sides up to 400 pixels.
        rng: Source of randomness.

    Returns:
        An RGB image of the same size.
    """
    blur = rng.choice([0.0, rng.uniform(0.3, 1.2), rng.uniform(1.5, 4.5)], p=[0.53, 0.38, 0.09])
    image = defocus(image, float(blur) * max(image.size) / 280)
    if chance(rng, 0.04):
        image = _shake(image, rng)
    contrast = rng.uniform(0.7, 1.3)
    pixels = np.array(image, np.float32)
    pixels *= _light_map(rng, image.size)[..., None]
    pixels *= _white_balance(rng) * np.float32(contrast)
    top, left = rng.integers(0, _TILE, 2)
    noise = _noise_tile()[top : top + image.height, left : left + image.width]
    pixels += noise * np.float32(rng.choice([rng.uniform(0.5, 4), rng.uniform(6, 18)], p=[0.85, 0.15]))
    pixels += np.float32(118 * (1 - contrast) + rng.normal(6, 14))
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


def defocus(image: Image.Image, radius: float) -> Image.Image:
    """Blurs by `radius` pixels, or returns the image as it is when that would not show."""
    return image.filter(ImageFilter.GaussianBlur(float(radius))) if radius > _LEAST_BLUR else image


def _shake(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Motion blur along one of four directions."""
    kernels = np.zeros((4, 5, 5))
    kernels[0, 2, :] = kernels[1, :, 2] = 1
    kernels[2], kernels[3] = np.eye(5), np.eye(5)[::-1]
    kernel = ImageFilter.Kernel((5, 5), kernels[rng.integers(4)].ravel().tolist())
    return image.filter(kernel).filter(kernel)


def _light_map(rng: np.random.Generator, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Relative brightness [height, width]: vignette times a soft patch of shade or sun."""
    grid = np.linspace(-1, 1, 8)
    distance = grid[:, None] ** 2 + grid[None, :] ** 2
    vignette = 1 - rng.uniform(0, 0.28) * distance
    patch = rng.normal(1, rng.uniform(0.02, 0.16), (8, 8)) if chance(rng, 0.5) else 1 + rng.normal(0, 0.1) * grid
    light = (vignette * patch * rng.uniform(0.75, 1.35)).astype(np.float32)
    return np.asarray(Image.fromarray(light).resize(size, Image.Resampling.BILINEAR))


def _white_balance(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    warmth, tint = rng.normal(0, 0.08), rng.normal(0, 0.03)
    return np.array([1 + warmth, 1 + tint, 1 - warmth], np.float32)


def develop(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Encodes as JPEG, quality 60 to 95, about one in a hundred in grayscale.

    Args:
        image: RGB image.
        rng: Source of randomness.

    Returns:
        The JPEG file.
    """
    quality, gray = int(rng.integers(60, 96)), chance(rng, 0.01)
    buffer = io.BytesIO()
    (image.convert("L") if gray else image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
