"""Grass, leaves and stems.

Everything here is in pixels.
"""

import dataclasses

import numpy as np

from components.example_gen.synthetic_flowers.canvas import Canvas, Pose
from components.example_gen.synthetic_flowers.palette import WHITE, Array, colors, jitter, mix, pick
from components.example_gen.synthetic_flowers.shapes import Petals, Profile, blade_profile, interleave, leaf_profile

GREENS = colors("4d7a2c", "6b9a3a", "35591f", "88a850", "5a7048", "7a8a3a", "2c4420")
# The pose of what is already in pixels.
FRAME = Pose(0, 0, 1)
_UP = -np.pi / 2


def toothed_profile(t: Array) -> Array:
    """Half-width of a leaf with an indented margin."""
    return leaf_profile(t) * (0.62 + 0.38 * (np.arange(len(t)) % 2))


def draw_grass(canvas: Canvas, rng: np.random.Generator, count: int, reach: tuple[float, float]) -> None:
    """Draws blades of grass that stand on the lower part of the frame.

    Args:
        canvas: Where to draw.
        rng: Source of randomness.
        count: How many blades.
        reach: Shortest and longest blade, as shares of the frame's height.
    """
    rows = np.sort(rng.uniform(0.55, 1.1, count))
    roots = np.stack([rng.uniform(-0.1, 1.1, count) * canvas.width, rows * canvas.height], axis=-1)
    lengths = rng.uniform(*reach, count) * canvas.height
    widths, bends = lengths * rng.uniform(0.015, 0.04, count), lengths * rng.normal(0, 0.25, count)
    blades = Petals(_UP + rng.normal(0, 0.35, count), lengths, widths, bends).outline(blade_profile)
    tones = jitter(rng, pick(rng, GREENS), count, 0.2) + rng.normal(0, 10, (count, 3))
    canvas.polygons(FRAME, blades + roots[:, None, :], tones)


def draw_leaves(
    canvas: Canvas,
    rng: np.random.Generator,
    origins: Array,
    leaves: Petals,
    *,
    profile: Profile = leaf_profile,
) -> None:
    """Draws leaves with a midrib and a lighter half, each a little bent.

    Args:
        canvas: Where to draw.
        rng: Source of randomness.
        origins: Leaf bases [P, 2].
        leaves: Directions, lengths and half-widths, each [P].
        profile: Shape of the margin.
    """
    count = len(leaves.angles)
    tones = jitter(rng, pick(rng, GREENS), count, 0.15)
    lengths = np.asarray(leaves.lengths)
    bent = dataclasses.replace(leaves, bends=lengths * rng.normal(0, 0.2, count))
    turned = dataclasses.replace(bent, angles=bent.angles + 0.06)
    rib = dataclasses.replace(bent, widths=lengths * 0.012)
    outlines = (bent.outline(profile), turned.outline(profile, 0.95, 0.6), rib.outline(blade_profile, 0.92))
    layers = [outline + origins[:, None, :] for outline in outlines]
    canvas.polygons(FRAME, interleave(*layers), interleave(tones * 0.85, tones * 1.12, mix(tones, WHITE, 0.25)))


def draw_stem(canvas: Canvas, rng: np.random.Generator, pose: Pose, thickness: float) -> Array:
    """Draws a curved stem from a head down and out of the frame.

    Args:
        canvas: Where to draw.
        rng: Source of randomness.
        pose: The head's pose.
        thickness: Width of the stem, in radii of the head.

    Returns:
        Points [12, 2] along the stem, from the head down.
    """
    start, control = pose.apply(np.array([[0.0, 0.3], [0.0, 2.2]]))
    foot = pose.x + pose.radius * (rng.normal(0, 0.5) - 1.5 * np.sin(pose.lean))
    end = np.array([foot, max(canvas.height * 1.05, pose.y + pose.radius * 2)])
    t = np.linspace(0, 1, 12)[:, None]
    line: Array = start * (1 - t) ** 2 + control * 2 * t * (1 - t) + end * t**2
    green = pick(rng, GREENS)
    width = max(2.0, thickness * pose.radius)
    canvas.lines(FRAME, line[None], green * 0.7, width)
    canvas.lines(FRAME, line[None] - [width * 0.15, 0], green * 1.15, width * 0.45)
    return line
