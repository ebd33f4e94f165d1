"""Flower heads with broad petals: tulip and rose."""

from typing import NamedTuple

import numpy as np

from components.example_gen.synthetic_flowers.canvas import Canvas, Pose
from components.example_gen.synthetic_flowers.palette import BLACK, WHITE, Array, chance, colors, jitter, mix, pick
from components.example_gen.synthetic_flowers.shapes import Petals, interleave, leaf_profile

_TULIP_COLORS = colors(
    "c8202a", "e23b4e", "e87a9a", "f4c21c", "f08a1e", "7a3a86", "f2efe6", "b8184a", "f5b8c4", "4a1838"
)
_TULIP_FEET = colors("f3d23a", "f1eedd", "2a2030", "c9cf7a")
_ROSE_COLORS = colors(
    "b0122a", "d8304a", "e87f98", "f3b9c0", "f3efe4", "f2cf5a", "f0a060", "8a0f24", "f6e3c8", "e0559a"
)
_GREENS = colors("4f7434", "5f8a3e", "44662c", "6d8c55")
_UP = -np.pi / 2
# Pixels at twice the photo's size; veins and inner petals cannot be seen on smaller heads.
_FINE_RADIUS = 40


def _egg(t: Array) -> Array:
    return np.clip(1.32 * (t + 0.1) ** 0.6 * (1 - t**2.4) ** 0.75, 0, 1)


class _CupPetal(NamedTuple):
    """A petal that rises from the base of a cup: its lean from upright in radians, size, and the tint of its foot."""

    lean: float
    length: float
    width: float
    color: Array
    foot_color: Array
    bend: float = 0.0


def _draw_cup_petal(canvas: Canvas, pose: Pose, rng: np.random.Generator, petal: _CupPetal) -> None:
    """Draws nested bands from a dark rim to a lit middle, a tinted foot and veins."""
    bands = 7 if pose.radius > _FINE_RADIUS else 3
    shares = np.linspace(0, 1, bands)
    angle = _UP + petal.lean
    lit_side = 0.05 if chance(rng, 0.5) else -0.05
    blade = Petals(
        angle + lit_side * shares,
        petal.length * (1 - 0.1 * shares),
        petal.width * (1 - 0.85 * shares),
        petal.bend * (1 - shares),
    )
    canvas.polygons(
        pose, blade.outline(_egg), mix(mix(petal.color, BLACK, 0.3), mix(petal.color, WHITE, 0.16), shares**0.6)
    )
    foot = Petals(np.array([angle]), petal.length * 0.55, petal.width * 0.5)
    canvas.polygons(pose, foot.outline(leaf_profile), mix(petal.color, petal.foot_color, 0.45))
    if pose.radius > _FINE_RADIUS:
        veins = angle + np.linspace(-0.22, 0.22, 7) * petal.width * 2
        reach = petal.length * rng.uniform(0.6, 0.92, 7)[:, None] * np.linspace(0.1, 1, 4)
        lines = reach[..., None] * np.stack([np.cos(veins), np.sin(veins)], axis=-1)[:, None, :]
        canvas.lines(pose, lines, jitter(rng, mix(petal.color, BLACK, 0.14), 7, 0.1), 0.012)


def draw_tulip(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """Draws a tulip: a cup from the side, or in about one of eight the open flower from above."""
    color, foot_color = pick(rng, _TULIP_COLORS), pick(rng, _TULIP_FEET, 6)
    if chance(rng, 0.13):
        _draw_open_tulip(canvas, pose, rng, color, foot_color)
        return
    cup = pose.at(0, 0.85 * pose.squash, squash=1.0)
    openness = rng.uniform(0.0, 0.2) if chance(rng, 0.7) else rng.uniform(0.2, 0.55)
    width, height = rng.uniform(0.38, 0.56), rng.uniform(1.5, 1.8)
    whole = []
    for side in (-0.5, 0.5, 0.0):
        lean = side * (0.35 + openness) + rng.normal(0, 0.06)
        whole.append(_CupPetal(lean, height * rng.uniform(0.93, 1.02), width * 0.8, color * 0.78, foot_color))
    for side in rng.permutation([-1.0, 1.0]):
        lean, length = side * (0.3 + openness * 0.9), height * rng.uniform(0.92, 1.0)
        whole.append(_CupPetal(lean, length, width * 0.82, color, foot_color, -side * 0.12))
    # One in five has a front petal of a second colour.
    front = mix(color, pick(rng, colors("fff4e0", "f6d860", "fff0f4")), 0.25) if chance(rng, 0.2) else color
    length = height * rng.uniform(0.8, 0.95)
    whole.append(_CupPetal(rng.normal(0, 0.08), length, width * rng.uniform(0.85, 1.05), front, foot_color))
    for petal in whole:
        _draw_cup_petal(canvas, cup, rng, petal)


def _draw_open_tulip(canvas: Canvas, pose: Pose, rng: np.random.Generator, color: Array, foot_color: Array) -> None:
    """Draws six broad petals in two whorls, a blotch and six stamens."""
    turn = rng.uniform(0, 2 * np.pi)
    for index in range(6):
        outer = index // 3 == 0
        lean = turn + index * 2 * np.pi / 3 + (0 if outer else np.pi / 3) + rng.normal(0, 0.06)
        length, width = rng.uniform(0.88, 1.02), rng.uniform(0.4, 0.48)
        petal = _CupPetal(lean, length, width, color * (0.82 if outer else 1.0), foot_color)
        _draw_cup_petal(canvas, pose, rng, petal)
    canvas.disc(pose, 0.2, mix(foot_color, color, 0.2))
    stamens = Petals(turn + np.arange(6) * np.pi / 3, 0.32, 0.04, start=0.1)
    canvas.polygons(pose, stamens.outline(leaf_profile), pick(rng, colors("2a1a20", "d8b040", "3a3010"), 6))
    canvas.disc(pose, 0.08, pick(rng, colors("b8c070", "d8d890"), 6))


def _rose_petals(rng: np.random.Generator, angles: Array, reach: float, span: float) -> tuple[Array, Array, Array]:
    """Wedges with a rounded, slightly wavy outer edge [P, 24, 2]: whole, without the rim, and the shaded inside."""
    t = np.linspace(-1, 1, 22)
    wave = 0.03 * np.sin(t * rng.uniform(2, 5) + rng.uniform(0, 6, (len(angles), 1)))
    outer = reach * (1 - 0.32 * np.abs(t) ** 3 + wave)
    theta = angles[:, None] + t * span
    rim = np.stack([outer * np.cos(theta), outer * np.sin(theta)], axis=-1)
    foot = 0.25 * reach * np.stack([np.cos(angles), np.sin(angles)], axis=-1)[:, None, :]
    whole = np.concatenate([rim, -foot, -foot], axis=1)
    return whole, foot + (whole - foot) * 0.92, foot * 0.6 + (whole - foot * 0.6) * 0.74


def _rose_face(canvas: Canvas, pose: Pose, rng: np.random.Generator, color: Array, layers: int) -> None:
    """Draws the whorl from outside in: every petal has a lit rim and darkens towards its foot."""
    turn = rng.uniform(0, 2 * np.pi)
    light = rng.uniform(0, 2 * np.pi)
    deep = mix(color, color * [0.72, 0.5, 0.5], 0.8)
    for layer in range(layers):
        depth = layer / layers
        reach = (1 - depth) ** 0.85 + 0.07
        count = max(2, round(5.5 * (1 - depth)))
        span = np.pi / count * rng.uniform(1.15, 1.5)
        angles = turn + np.arange(count) * 2 * np.pi / count + 0.15 * rng.standard_normal(count)
        turn += rng.uniform(0.45, 0.9)
        whole, blade, inside = _rose_petals(rng, angles, reach, min(span, 1.5))
        body = jitter(rng, mix(color, deep, 0.55 * depth), count, 0.05)
        body = body * (1 + 0.1 * np.cos(angles - light))[:, None]
        shadow = Petals(angles, reach * 1.05, reach * 0.75).outline(_egg)
        tones = (mix(body, BLACK, 0.3), mix(body, WHITE, 0.28), body, mix(body, deep, 0.55) * 0.9)
        canvas.polygons(pose, shadow, tones[0])
        canvas.polygons(pose, interleave(whole, blade, inside), interleave(*tones[1:]))
    t = np.linspace(0, 1, 30)
    angle, distance = turn + t * 4.5 * np.pi, 0.015 + 0.15 * t
    spiral = np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=-1)
    canvas.lines(pose, spiral[None], deep * 0.6, 0.025)


def _sepals(canvas: Canvas, pose: Pose, rng: np.random.Generator, angles: Array, length: float) -> None:
    green = pick(rng, _GREENS)
    count = len(angles)
    leaflets = Petals(angles, length * rng.uniform(0.8, 1.15, count), 0.13, start=0.1)
    layers = (leaflets.outline(leaf_profile), leaflets.outline(leaf_profile, 0.85, 0.5))
    tones = (jitter(rng, green, count, 0.1), jitter(rng, green * 1.25, count, 0.1))
    canvas.polygons(pose, interleave(*layers), interleave(*tones))


def draw_rose(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """Draws a rose: the spiral of petals seen from the front, or in one of four a goblet from the side."""
    color = pick(rng, _ROSE_COLORS)
    layers = int(rng.integers(5, 9)) if pose.radius > _FINE_RADIUS else 4
    if chance(rng, 0.25):
        _draw_rose_goblet(canvas, pose, rng, color, layers)
        return
    if chance(rng, 0.6):
        _sepals(canvas, pose, rng, rng.uniform(0, 2 * np.pi) + np.arange(5) * (2 * np.pi / 5), 1.2)
    _rose_face(canvas, pose.at(0, 0, squash=max(0.62, pose.squash)), rng, color, layers)


def _draw_rose_goblet(canvas: Canvas, pose: Pose, rng: np.random.Generator, color: Array, layers: int) -> None:
    """Draws a half-open rose from the side: outer petals curling over, the whorl foreshortened on top."""
    body = pose.at(0, 0.8, squash=1.0)
    width = rng.uniform(0.5, 0.72)
    for side in (-1.0, 1.0):
        petal = _CupPetal(side * 0.42, 1.45, width * 0.8, color * 0.85, color, side * 0.22)
        _draw_cup_petal(canvas, body, rng, petal)
    _rose_face(canvas, pose.at(0, -0.42, 1.37 * width, squash=0.55), rng, color, layers)
    for side in rng.permutation([-1.0, 1.0]):
        petal = _CupPetal(side * 0.24, 1.12, width, color, color * 0.9, side * 0.1)
        _draw_cup_petal(canvas, body, rng, petal)
    _sepals(canvas, body, rng, _UP + np.array([-1.3, -0.7, 0.1, 0.8, 1.4]), 0.55)
