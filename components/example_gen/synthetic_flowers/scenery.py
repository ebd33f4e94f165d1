"""What surrounds the flowers: backgrounds and things in front.

Nothing here depends on the species.
"""

import numpy as np
from PIL import Image

from components.example_gen.synthetic_flowers.canvas import Canvas, Pose
from components.example_gen.synthetic_flowers.foliage import FRAME, GREENS, draw_grass, draw_leaves
from components.example_gen.synthetic_flowers.palette import Array, colors, jitter, mix, pick
from components.example_gen.synthetic_flowers.shapes import Petals, leaf_profile

_SKIES = colors("7fb2e5", "5a96d8", "c5d8e8", "e8ecee", "9fb8d0", "f0d8b8", "3a6ab0")
_SOILS = colors("6b4f35", "4a3826", "8a7458", "7a6a5a", "55483c", "9a8a74")
_WALLS = colors(
    "d8d0c0", "b8a898", "e8e4dc", "90989c", "c89878", "304050", "1a1a1c", "a8b8a0", "702a2a", "e0c060", "d090a0"
)
_BOKEH = colors("f0e0a0", "a8c870", "ffffff", "f0a0b0", "f2cf40", "80a0d0", "d04040", "c8d8a0", "b080c0")


def _gradient(rng: np.random.Generator, size: tuple[int, int], first: Array, second: Array) -> Image.Image:
    """A four-corner blend of two colours."""
    corners = mix(first, second, np.clip([[0.0, 0.2], [0.8, 1.0]] + 0.25 * rng.standard_normal((2, 2)), 0, 1))
    small = Image.fromarray(np.clip(corners, 0, 255).astype(np.uint8))
    return small.resize(size, Image.Resampling.BILINEAR, box=(0.5, 0.5, 1.5, 1.5))


def _speckle(image: Image.Image, rng: np.random.Generator, coarse: int, strength: float) -> Image.Image:
    """Multiplies an image by smooth noise with about `coarse` cells across."""
    noise = rng.normal(1.0, strength, (coarse, coarse))
    cells = Image.fromarray(noise.astype(np.float32)).resize(image.size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image, np.float32) * np.asarray(cells)[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def background(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draws one of eight kinds of background, sharp.

    Args:
        rng: Source of randomness.
        size: Width and height in pixels.

    Returns:
        An RGB image.
    """
    kind = rng.choice(
        ["meadow", "foliage", "bokeh", "sky", "horizon", "soil", "wall", "night"],
        p=[0.24, 0.18, 0.16, 0.1, 0.1, 0.08, 0.09, 0.05],
    )
    if kind == "wall":
        image = _gradient(rng, size, pick(rng, _WALLS), pick(rng, _WALLS) * rng.uniform(0.6, 1.0))
        return _speckle(image, rng, int(rng.integers(4, 60)), rng.uniform(0.0, 0.08))
    if kind == "night":
        return _gradient(rng, size, np.full(3, rng.uniform(0, 30)), pick(rng, GREENS) * 0.3)
    if kind == "soil":
        return _soil(rng, size)
    if kind == "bokeh":
        return _bokeh(rng, size)
    sky = _speckle(_gradient(rng, size, pick(rng, _SKIES), pick(rng, _SKIES)), rng, int(rng.integers(2, 8)), 0.06)
    if kind == "sky":
        return sky
    canvas = Canvas(_gradient(rng, size, pick(rng, GREENS), pick(rng, GREENS) * 0.7))
    if kind == "horizon":
        canvas.image.paste(sky.crop((0, 0, size[0], int(size[1] * rng.uniform(0.25, 0.6)))))
    if kind == "foliage":
        count = int(rng.integers(25, 70))
        origins = rng.uniform(-0.1, 1.1, (count, 2)) * size
        lengths = rng.uniform(0.15, 0.45, count) * max(size)
        foliage = Petals(rng.uniform(0, 2 * np.pi, count), lengths, lengths * rng.uniform(0.12, 0.4))
        draw_leaves(canvas, rng, origins, foliage)
    else:
        draw_grass(canvas, rng, int(rng.integers(60, 160)), (0.1, 0.6))
    return canvas.image


def _soil(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    tone = pick(rng, _SOILS)
    canvas = Canvas(_speckle(_gradient(rng, size, tone, pick(rng, _SOILS)), rng, 50, 0.14))
    count = int(rng.integers(20, 80))
    points = rng.uniform(0, 1, (count, 2)) * size
    canvas.dots(FRAME, points, max(size) * rng.uniform(0.006, 0.02), jitter(rng, tone * 1.15, count, 0.25), sides=6)
    return canvas.image


def _bokeh(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    canvas = Canvas(_gradient(rng, size, pick(rng, GREENS) * rng.uniform(0.3, 1), pick(rng, _SOILS)))
    for _ in range(int(rng.integers(3, 7))):
        count = int(rng.integers(2, 9))
        tone = mix(pick(rng, GREENS), pick(rng, _BOKEH), rng.uniform(0.1, 0.9))
        points = rng.uniform(0, 1, (count, 2)) * size
        canvas.dots(FRAME, points, max(size) * rng.uniform(0.02, 0.1), jitter(rng, tone, count, 0.1), sides=14)
    return canvas.image


def foreground(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draws what stands between camera and flowers: grass, a leaf, a twig, a fence or an insect."""
    width, height = canvas.width, canvas.height
    kind = rng.choice(["grass", "leaf", "twigs", "fence", "insect"], p=[0.32, 0.3, 0.14, 0.1, 0.14])
    if kind == "grass":
        draw_grass(canvas, rng, int(rng.integers(4, 22)), (0.3, 0.95))
    elif kind == "leaf":
        count = int(rng.integers(1, 4))
        edge = rng.uniform(0, 2 * np.pi, count)
        origins = np.stack([width * (0.5 + 0.75 * np.cos(edge)), height * (0.5 + 0.75 * np.sin(edge))], axis=-1)
        lengths = rng.uniform(0.4, 0.85, count) * min(width, height)
        inwards = edge + np.pi + rng.normal(0, 0.4, count)
        draw_leaves(canvas, rng, origins, Petals(inwards, lengths, lengths * rng.uniform(0.15, 0.4)))
    elif kind == "twigs":
        count = int(rng.integers(1, 4))
        ends = rng.uniform(-0.1, 1.1, (count, 2, 2)) * (width, height)
        ends[:, 0, 0], ends[:, 1, 0] = -10, width + 10
        canvas.lines(FRAME, ends, pick(rng, _SOILS) * 0.8, rng.uniform(0.008, 0.03) * width)
    elif kind == "fence":
        gap, offset = rng.uniform(0.16, 0.4) * width, rng.uniform(0, 0.3) * width
        x = np.arange(offset, width, gap)
        bars = np.stack([np.stack([x, x], -1), np.broadcast_to([0.0, height], (len(x), 2))], axis=-1)
        canvas.lines(FRAME, bars, pick(rng, _WALLS), rng.uniform(0.015, 0.05) * width)
    else:
        _insect(canvas, rng)


def _insect(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draws a bee or a butterfly near the middle."""
    place = rng.uniform(0.25, 0.75, 2) * (canvas.width, canvas.height)
    size = rng.uniform(0.03, 0.09) * canvas.width
    pose = Pose(float(place[0]), float(place[1]), size, rng.uniform(0, 2 * np.pi))
    wing = pick(rng, colors("e8e8e8", "f09030", "f0d040", "8090d0", "402818"))
    wings = Petals(np.array([0.5, -0.5, 2.6, -2.6]), rng.uniform(0.8, 1.6), 0.45)
    canvas.polygons(pose, wings.outline(leaf_profile), jitter(rng, wing, 4, 0.08))
    canvas.disc(Pose(pose.x, pose.y, size, pose.lean, 0.35), 0.75, np.array([40.0, 28.0, 16.0]))
