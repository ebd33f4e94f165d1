"""One synthetic photo: chooses a species, composes a scene and photographs it."""

from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

from components.example_gen.synthetic_flowers import camera, composites, cups, foliage, scenery
from components.example_gen.synthetic_flowers.canvas import Canvas, Pose
from components.example_gen.synthetic_flowers.palette import chance
from components.example_gen.synthetic_flowers.shapes import Petals, Profile, leaf_profile

Painter = Callable[[Canvas, Pose, np.random.Generator], None]

# tf_flowers' class names in its order, and how many photos it has of each.
CLASS_COUNTS: Final = {"dandelion": 898, "daisy": 633, "tulips": 799, "sunflowers": 699, "roses": 641}
_CLASS_NAMES: Final = tuple(CLASS_COUNTS)
_CLASS_SHARES: Final = np.array(list(CLASS_COUNTS.values())) / sum(CLASS_COUNTS.values())
_PAINTERS: Final[dict[str, Painter]] = {
    "dandelion": composites.draw_dandelion,
    "daisy": composites.draw_daisy,
    "tulips": cups.draw_tulip,
    "sunflowers": composites.draw_sunflower,
    "roses": cups.draw_rose,
}
_STEM_WIDTHS: Final = {"dandelion": 0.08, "daisy": 0.05, "tulips": 0.13, "sunflowers": 0.11, "roses": 0.1}
# Half-width over length, and the shape of the margin.
_LEAVES: Final[dict[str, tuple[float, Profile]]] = {
    "dandelion": (0.13, foliage.toothed_profile),
    "daisy": (0.1, foliage.toothed_profile),
    "tulips": (0.13, leaf_profile),
    "sunflowers": (0.38, leaf_profile),
    "roses": (0.3, foliage.toothed_profile),
}
# Drawn at twice the size and reduced: Pillow's polygons have hard edges.
_OVERSAMPLING: Final = 2


def draw_photo(seed: int, index: int) -> tuple[str, bytes]:
    """Draws photo `index` of the data set with the given seed.

    Args:
        seed: The data set's seed, at least 0.
        index: Number of the photo, at least 0.

    Returns:
        The class name and the JPEG file; the same for the same arguments, in any process.
    """
    rng = np.random.default_rng([seed, index])
    species = _CLASS_NAMES[rng.choice(len(_CLASS_NAMES), p=_CLASS_SHARES)]
    size = _photo_size(rng)
    canvas = Canvas(_backdrop(rng, size))
    for pose in _arrange(rng, canvas.width, canvas.height):
        _plant(canvas, rng, species, pose)
    if chance(rng, 0.38):
        scenery.foreground(canvas, rng)
    return species, camera.develop(camera.expose(canvas.image.reduce(_OVERSAMPLING), rng), rng)


def _photo_size(rng: np.random.Generator) -> tuple[int, int]:
    long = int(200 + 201 * rng.random() ** 1.4)
    short = max(160, int(long * rng.choice([0.66, 0.75, 0.8, 1.0])))
    return (long, short) if chance(rng, 0.65) else (short, long)


def _backdrop(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """The background out of focus, at times with blurred flowers of any species in it."""
    half = (size[0] // 2, size[1] // 2)
    image = scenery.background(rng, half)
    if chance(rng, 0.16):
        canvas = Canvas(image)
        painter = _PAINTERS[_CLASS_NAMES[rng.integers(len(_CLASS_NAMES))]]
        for _ in range(int(rng.integers(1, 7))):
            x, y = rng.uniform(0, 1, 2) * half
            painter(canvas, Pose(x, y, rng.uniform(0.03, 0.11) * max(half), rng.normal(0, 0.4), 0.8), rng)
    image = camera.defocus(image, rng.choice([rng.uniform(0.5, 1.2), rng.uniform(1.2, 5)]) * max(half) / 140)
    image = image.resize(size, Image.Resampling.BILINEAR)
    return image.resize((size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING), Image.Resampling.NEAREST)


def _arrange(rng: np.random.Generator, width: int, height: int) -> list[Pose]:
    """Places the flowers, farthest first: a close-up, a portrait, a group or a distant field."""
    kind = rng.choice(["close", "portrait", "group", "field"], p=[0.26, 0.38, 0.26, 0.1])
    least, most, count = {
        "close": (0.36, 0.7, 1),
        "portrait": (0.17, 0.36, 1),
        "group": (0.11, 0.26, int(rng.integers(2, 7))),
        "field": (0.04, 0.09, int(rng.integers(5, 22))),
    }[kind]
    scale = rng.uniform(least, most)
    spread = 0.15 if count == 1 else 0.34
    lean, squash = 0.3 * rng.standard_normal(), rng.uniform(0.3, 1.0)
    if chance(rng, 0.08):
        lean = rng.uniform(-np.pi, np.pi)
    rows = np.sort(np.clip(rng.normal(0.48, spread * 0.8, count), 0.05, 0.95))
    poses = []
    for row in rows:
        radius = scale * min(width, height) * rng.uniform(0.8, 1.2)
        facing = float(np.clip(squash + 0.12 * rng.standard_normal(), 0.28, 1.0)) ** 0.6
        column = np.clip(rng.normal(0.5, spread), 0.0, 1.0)
        poses.append(
            Pose(float(column * width), float(row * height), radius, lean + 0.2 * rng.standard_normal(), facing)
        )
    return poses


def _plant(canvas: Canvas, rng: np.random.Generator, species: str, pose: Pose) -> None:
    """Draws stem, leaves and head of one flower."""
    if chance(rng, 0.8):
        line = foliage.draw_stem(canvas, rng, pose, _STEM_WIDTHS[species] * rng.uniform(0.7, 1.3))
        # Now and then the leaves of another species, so that they alone do not tell.
        source = species if chance(rng, 0.7) else _CLASS_NAMES[rng.integers(len(_CLASS_NAMES))]
        slenderness, profile = _LEAVES[source]
        count = int(rng.integers(0, 5))
        angles = -np.pi / 2 + rng.choice([-1.0, 1.0], count) * rng.uniform(0.3, 1.3, count)
        lengths = pose.radius * rng.uniform(0.7, 2.2, count)
        leaves = Petals(angles, lengths, lengths * slenderness * rng.uniform(0.75, 1.25, count))
        foliage.draw_leaves(canvas, rng, line[rng.integers(3, 12, count)], leaves, profile=profile)
    _PAINTERS[species](canvas, pose, rng)
