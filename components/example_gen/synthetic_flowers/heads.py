"""The heads of the five species: each function draws one of random colour and form."""

import numpy as np

from components.example_gen.synthetic_flowers.canvas import (
    Array,
    Canvas,
    Petal,
    Pose,
    Random,
    choose,
    colors,
    gradient,
    mix,
    outline,
    pick,
)

GREENS = colors("4d7a2c", "6b9a3a", "35591f", "88a850", "5a7048", "7a8a3a", "2c4420")
LEAF = outline(lambda t: np.clip(1.9 * (t + 0.04) ** 0.72 * (1 - t) ** 0.68, 0, 1))
_EGG = outline(lambda t: np.clip(1.32 * (t + 0.1) ** 0.6 * (1 - t**2.4) ** 0.75, 0, 1))
_STRAP = outline(lambda t: np.minimum(1, 0.45 + 1.6 * t) * np.sqrt(1 - t**8))
_SPOON = outline(lambda t: np.sqrt(np.clip(1.15 * t + 0.08, 0, 1) * (1 - t**7)))
_TUFT = outline(lambda t: np.clip(8 * t - 5, 0.1, 1))
_WHITE = np.full(3, 255, np.float32)
_YELLOWS = colors("f7c815", "ffd91f", "f5b50d", "fae04a", "f2a516")
_DAISIES = colors("f6f6f2", "fbfbff", "eeeae0", "f6f6f2", "fbfbff", "f3d9e4", "e9b7d0", "c98bc0", "f2cf4a")
_SUNFLOWERS = colors("f9b90f", "fdc921", "f2a008", "f7d84a", "fdc921", "e8860b", "f3e39a", "b5491a")
_BROWNS = colors("3b2212", "4a2c14", "2a1a12", "5b3a17", "6b5a20", "c98a1b", "7a7a30")
_TULIPS = colors("c8202a", "e23b4e", "e87a9a", "f4c21c", "f08a1e", "7a3a86", "f2efe6", "b8184a", "f5b8c4", "4a1838")
_TULIP_FEET = colors("f3d23a", "f1eedd", "2a2030", "c9cf7a")
_ROSES = colors("b0122a", "d8304a", "e87f98", "f3b9c0", "f3efe4", "f2cf5a", "f0a060", "8a0f24", "f6e3c8", "e0559a")
# Radius in pixels below which a head's finer parts cannot be seen.
_SMALL = 12


def draw_daisy(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws long blunt rays around a yellow dome."""
    color, yellow, disc = pick(rng, _DAISIES, 5), pick(rng, _YELLOWS) * np.float32(0.9), rng.uniform(0.2, 0.38)
    count = int(rng.integers(11, 30))
    for length, shade in ((1.0, 0.85), (rng.uniform(0.84, 0.97), 1.0)):
        tones = gradient(color * rng.uniform(0.75, 0.95), color) * np.float32(shade)
        canvas.whorl(pose, rng, count, Petal(length, 2.6 / count, _SPOON, tones))
    dome = pose.at(-0.1 * (1 - pose.squash), 1, min(1.0, pose.squash + 0.12))
    _florets(canvas, dome, rng, disc, gradient(mix(yellow, _WHITE, 0.2), yellow * 0.7, 3))


def draw_sunflower(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws pointed rays around a broad dark disc."""
    color, count = pick(rng, _SUNFLOWERS, 7), int(rng.integers(13, 23))
    for length, shade in ((1.0, 0.8), (rng.uniform(0.86, 0.97), 1.0)):
        tones = gradient(color * np.float32([0.85, 0.68, 0.6]), color, 0.7) * np.float32(shade)
        canvas.whorl(pose, rng, count, Petal(length, 2.6 / count, LEAF, tones))
    tones = gradient(mix(pick(rng, _BROWNS), pick(rng, _BROWNS), 0.5), pick(rng, _BROWNS[:5], 8), 0.6)
    _florets(canvas, pose, rng, rng.uniform(0.36, 0.6), tones)


def draw_dandelion(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws a dense yellow head, or in three of ten cases the white ball of seeds."""
    seeds = choose(rng, {True: 0.3, False: 0.7})
    color = np.float32(rng.uniform(215, 245)) + rng.normal(0, 4, 3) if seeds else pick(rng, _YELLOWS, 7)
    pose = pose.at(0, 1, max(0.9, pose.squash)) if seeds else pose
    for length in (1.0, 0.86, 0.68, 0.46, 0.26)[:: 1 if pose.radius > _SMALL else 2]:
        count = int(rng.integers(24, 36) * (0.4 + 0.6 * length))
        if seeds:
            petal = Petal(length, 0.05, _TUFT, np.float32(color * (1.1 - 0.3 * length)))
        else:
            tones = gradient(color * np.float32([0.75, 0.6, 0.3]), color * np.float32([1, 0.86 + 0.14 * length, 1]))
            petal = Petal(length, 0.055, _STRAP, tones)
        canvas.whorl(pose.at(-0.18 * (1 - length) * (1 - pose.squash), 1, pose.squash), rng, count, petal)
    if seeds:
        canvas.disc(pose, rng.uniform(0.09, 0.16), pick(rng, _BROWNS))


def draw_tulip(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws a cup from the side, or in one of eight cases the open flower from above."""
    color, foot = pick(rng, _TULIPS), pick(rng, _TULIP_FEET, 6)
    if choose(rng, {True: 0.13, False: 0.87}):
        for length, shade in ((1.0, 0.8), (0.94, 1.0)):
            canvas.whorl(pose, rng, 3, Petal(length, 0.52, _EGG, gradient(foot, color, 0.5) * np.float32(shade)))
        canvas.whorl(pose, rng, 6, Petal(0.36, 0.05, LEAF, pick(rng, _BROWNS)))
        return
    cup, openness = pose.at(0.85, 1, 1), rng.uniform(0, 0.2) * rng.choice([1, 1, 2.5])
    length, width = rng.uniform(1.45, 1.75), rng.uniform(0.32, 0.46)
    inner = gradient(foot, color * np.float32(0.74), 0.4)
    # Three petals at the back, two at the sides and one in front.
    for side in (-0.5, 0.5, 0.0):
        _cup_petal(canvas, cup, rng, side * (0.35 + openness), Petal(length, width, _EGG, inner))
    for side in rng.permutation([-1.0, 1.0]):
        petal = Petal(length * 0.97, width, _EGG, gradient(foot, color, 0.4), -side * 0.12)
        _cup_petal(canvas, cup, rng, side * (0.3 + 0.9 * openness), petal)
    front = mix(color, _WHITE, rng.choice([0.05, 0.05, 0.2]))
    _cup_petal(canvas, cup, rng, 0, Petal(length * 0.9, width * 1.15, _EGG, gradient(foot, front, 0.4)))


def draw_rose(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws the spiral of petals from the front, or in one of four cases a goblet from the side."""
    color, green = pick(rng, _ROSES), pick(rng, GREENS)
    if choose(rng, {True: 0.75, False: 0.25}):
        canvas.whorl(pose, rng, 5, Petal(rng.uniform(0.8, 1.25), 0.15, LEAF, green))
        _rosette(canvas, pose.at(0, 1, max(0.62, pose.squash)), rng, color)
        return
    body, width = pose.at(0.8, 1, 1), rng.uniform(0.5, 0.72)
    tones = gradient(color * np.float32(0.7), color, 0.4)
    for side in (-1.0, 1.0):
        _cup_petal(canvas, body, rng, side * 0.42, Petal(1.45, width * 0.8, _EGG, tones, side * 0.22))
    _rosette(canvas, pose.at(-0.42, 1.37 * width, 0.55), rng, color)
    for side in rng.permutation([-1.0, 1.0]):
        _cup_petal(canvas, body, rng, side * 0.24, Petal(1.12, width, _EGG, tones, side * 0.1))
    for lean in (-1.3, -0.7, 0.1, 0.8, 1.4):
        _cup_petal(canvas, body, rng, lean, Petal(0.55, 0.1, _EGG, green))


def _cup_petal(canvas: Canvas, pose: Pose, rng: Random, lean: float, petal: Petal) -> None:
    """Draws a petal that rises from the base of a cup, with lengths in radii of the head."""
    scale, length = pose.radius, pose.radius * petal.length * rng.uniform(0.93, 1.03)
    grown = Petal(length, petal.width * scale, petal.shape, petal.tones, petal.bend * scale)
    canvas.petal((pose.x, pose.y), lean + pose.lean - np.pi / 2 + rng.normal(0, 0.05), grown)


def _florets(canvas: Canvas, pose: Pose, rng: Random, radius: float, tones: Array) -> None:
    """Draws a disc of grainy florets, with colours [3, 256] from its middle to its edge."""
    where, distance, _ = canvas.polar(pose, radius)
    grain = np.float32(1) + np.float32(0.2) * rng.standard_normal(distance.shape, np.float32)
    grain *= np.float32(1) - np.float32(0.4) * (distance > 0.92 * radius)
    color = tones.take((distance * (255 / radius)).astype(np.intp), axis=1, mode="clip")
    canvas.blend(where, (radius - distance) * pose.radius, color * grain)


def _rosette(canvas: Canvas, pose: Pose, rng: Random, color: Array) -> None:
    """Draws a rose's petals, from outside in: each ring shades what is below, has a lit rim and darkens inwards."""
    layers = int(rng.integers(4, 7)) if pose.radius > _SMALL else 3
    deep, turn = color * np.float32([0.55, 0.36, 0.36]), rng.uniform(0, 7)
    for depth in np.arange(layers) / layers:
        reach, count = (1 - depth) ** 0.85 + 0.07, max(2, round(5.5 * (1 - depth)))
        where, radius, theta = canvas.polar(pose, 1.12 * reach)
        place = theta * (count / (2 * np.pi)) + turn % count
        index = place.astype(np.intp)
        each = np.float32([reach * np.clip(rng.normal(1, 0.05, count), 0.9, 1.1), rng.normal(1, 0.08, count)])
        rim, shade = each[:, np.arange(2 * count + 1) % count].take(index, axis=1)
        side = np.abs(place - index.astype(np.float32) - np.float32(0.5))
        inside = rim * (1 - np.float32(0.9) * side * side * side) - radius
        body = mix(color, deep, 0.4 * depth)
        tones = gradient(body, mix(body, deep, 0.9), 0.8)
        tones[:, :28] = mix(body, _WHITE, 0.3)[:, None]
        canvas.blend(where, np.minimum(7 * inside, -0.1), deep[:, None] * np.float32(0.4))
        step = (inside * (255 / (0.55 * reach + 0.1))).astype(np.intp)
        canvas.blend(where, inside * pose.radius, tones.take(step, axis=1, mode="clip") * shade)
        turn += rng.uniform(0.45, 0.9)
