"""Flower heads of the daisy family: dandelion, daisy and sunflower."""

import numpy as np

from components.example_gen.synthetic_flowers.canvas import Canvas, Pose
from components.example_gen.synthetic_flowers.palette import BLACK, WHITE, Array, chance, colors, jitter, mix, pick
from components.example_gen.synthetic_flowers.shapes import Petals, Profile, interleave, leaf_profile

_YELLOWS = colors("f7c815", "ffd91f", "f5b50d", "fae04a", "f2a516")
_DAISY_WHITES = colors("f6f6f2", "fbfbff", "eeeae0", "f3d9e4", "e9b7d0", "c98bc0", "f4e9a0", "f2c84a")
_DAISY_WEIGHTS = np.array([5, 5, 4, 1.5, 1, 0.8, 0.8, 1.2])
_SUN_RAYS = colors("f9b90f", "fdc921", "f2a008", "f7d84a", "e8860b", "f3e39a", "b5491a")
_SUN_WEIGHTS = np.array([5, 5, 4, 2, 1, 0.6, 0.7])
_SUN_DISCS = colors("3b2212", "4a2c14", "2a1a12", "5b3a17", "6b5a20")
_GREENS = colors("5c7f35", "6c8f3e", "4a6d2c", "7f9a4c")
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
# Pixels at twice the photo's size; finer parts cannot be seen on smaller heads.
_FINE_RADIUS = 40
_FINE_DISC = 12
_SIDE_VIEW = 0.55


def _strap(t: Array) -> Array:
    return np.minimum(1.0, 0.45 + 1.6 * t) * np.sqrt(1 - 0.5 * t**8)


def _spoon(t: Array) -> Array:
    return np.sqrt(np.clip(1.15 * t + 0.08, 0, 1)) * np.sqrt(np.clip(1 - t**7, 0, 1))


def _spread_angles(rng: np.random.Generator, count: int, irregularity: float) -> Array:
    step = 2 * np.pi / count
    return rng.uniform(0, 2 * np.pi) + step * (np.arange(count) + irregularity * rng.standard_normal(count))


def _rays(canvas: Canvas, pose: Pose, profile: Profile, florets: Petals, tones: Array) -> None:
    """Draws ray florets in colours [P, 3]: a dark rim, the blade, a shaded base and a lit middle for each."""
    layers = [(1.0, 1.0, mix(tones, BLACK, 0.22)), (0.97, 0.84, tones)]
    if pose.radius > _FINE_RADIUS:
        layers += [(0.52, 0.6, tones * [0.94, 0.85, 0.78]), (0.9, 0.22, mix(tones, WHITE, 0.22))]
    shapes = [florets.outline(profile, length, width) for length, width, _ in layers]
    canvas.polygons(pose, interleave(*shapes), interleave(*[shade for _, _, shade in layers]))


def _sunlit(rng: np.random.Generator, color: Array, angles: Array) -> Array:
    """Colours [P, 3] of florets that are brighter on the side the light comes from."""
    return jitter(rng, color, len(angles), 0.06) * (1 + 0.1 * np.cos(angles - rng.uniform(0, 2 * np.pi)))[:, None]


def _calyx(canvas: Canvas, pose: Pose, rng: np.random.Generator, size: float) -> None:
    """Draws the green underside that shows when a head is seen from the side."""
    green = pick(rng, _GREENS)
    angles = np.linspace(0.15, 0.85, 9) * np.pi
    sepals = Petals(angles, size, size * 0.3).outline(leaf_profile)
    canvas.polygons(pose.at(0, 0, squash=1.0), sepals, jitter(rng, green, len(angles), 0.12))


def _spiral(count: int, radius: float) -> Array:
    """Phyllotaxis: points [count, 2] of a sunflower head of the given radius."""
    index = np.arange(count) + 0.5
    angle, distance = index * _GOLDEN_ANGLE, radius * np.sqrt(index / count)
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=-1)


def draw_daisy(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """Draws a daisy: one ring or two of long blunt rays around a yellow dome."""
    color = pick(rng, _DAISY_WHITES, 5, _DAISY_WEIGHTS)
    count = int(rng.integers(12, 36))
    width = min(0.2, rng.uniform(2.4, 3.6) / count)
    disc = rng.uniform(0.2, 0.38)
    if pose.squash < _SIDE_VIEW:
        _calyx(canvas, pose, rng, disc * 1.3)
    for reach, shade in ((1.0, 0.9), (rng.uniform(0.82, 0.97), 1.0)):
        missing = 0.15 if chance(rng, 0.5) else 0.02
        angles = _spread_angles(rng, count, 0.22)[rng.random(count) >= missing]
        lengths = reach * rng.normal(1, 0.06, len(angles))
        florets = Petals(angles, lengths, width, rng.normal(0, 0.07, len(angles)), disc * 0.6)
        _rays(canvas, pose, _spoon, florets, _sunlit(rng, color * shade, angles))
    yellow = pick(rng, colors("f0b90c", "f7cc1c", "d9970a", "c9a21a"))
    dome = pose.at(0, -0.1 * (1 - pose.squash), squash=min(1.0, pose.squash + 0.12))
    canvas.disc(dome, disc * 1.05, yellow * 0.6)
    canvas.disc(dome, disc * 0.97, yellow)
    if pose.radius * disc > _FINE_DISC:
        count = int(np.clip(pose.radius * disc * 3, 40, 130))
        points = _spiral(count, disc * 0.93)
        lit = mix(yellow * 0.72, mix(yellow, WHITE, 0.3), rng.random(count))
        canvas.dots(dome, points, disc * 0.085, lit, sides=4)


def draw_sunflower(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """Draws a sunflower: two layers of pointed rays around a broad dark disc of spiralling florets."""
    color = pick(rng, _SUN_RAYS, 7, _SUN_WEIGHTS)
    disc = rng.uniform(0.36, 0.6)
    count = int(rng.integers(15, 27))
    width = rng.uniform(1.5, 2.3) / count * (0.5 + disc)
    if pose.squash < _SIDE_VIEW:
        _calyx(canvas, pose, rng, 0.8)
    for reach, shade in ((1.0, 0.8), (rng.uniform(0.85, 0.97), 1.0)):
        angles = _spread_angles(rng, count, 0.25)
        lengths = reach * rng.normal(1, 0.07, count)
        florets = Petals(angles, lengths, width * 1.25, rng.normal(0, 0.1, count), disc * 0.75)
        _rays(canvas, pose, leaf_profile, florets, _sunlit(rng, color * shade, angles))
    _draw_sunflower_disc(canvas, pose, rng, color, disc)


def _draw_sunflower_disc(canvas: Canvas, pose: Pose, rng: np.random.Generator, color: Array, disc: float) -> None:
    """Draws the disc of the given radius: dark, with a lighter ring of open florets and often a green middle."""
    brown = pick(rng, _SUN_DISCS, 8)
    canvas.disc(pose, disc * 1.06, mix(brown, color, 0.3))
    canvas.disc(pose, disc, brown)
    if pose.radius * disc > _FINE_DISC:
        count = int(np.clip(pose.radius * disc * 4, 60, 260))
        points = _spiral(count, disc)
        ring = np.sqrt(np.arange(count) / count)
        outer = mix(brown, pick(rng, colors("c98a1b", "8a5a1c", "b07a20", "6a4a20")), 0.75)
        middle = mix(brown, pick(rng, colors("7a7a30", "20140c", "5a3a1a")), 0.7)
        shades = mix(mix(middle, brown * 0.8, np.clip(ring * 2.2, 0, 1)), outer, np.clip(ring * 3 - 2, 0, 1))
        shades = shades * (1 + 0.22 * rng.standard_normal((count, 1)))
        canvas.dots(pose, points, disc * 1.15 / np.sqrt(count), shades, sides=4)


def draw_dandelion(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """Draws a dandelion: a dense yellow head, or in about three of ten a white seed head."""
    if chance(rng, 0.3):
        _draw_seed_head(canvas, pose, rng)
        return
    color = pick(rng, _YELLOWS, 7)
    if pose.squash < _SIDE_VIEW:
        _calyx(canvas, pose, rng, 0.62)
    density = float(np.clip(pose.radius / 90, 0.35, 1.0))
    for reach, share in ((1.0, 1.0), (0.86, 0.9), (0.68, 0.8), (0.48, 0.6), (0.28, 0.4)):
        count = int(rng.integers(44, 64) * density * share)
        angles = _spread_angles(rng, count, 0.5)
        lengths, widths = reach * rng.uniform(0.78, 1.04, count), rng.uniform(0.028, 0.042, count) / density**0.8
        florets = Petals(angles, lengths, widths, rng.normal(0, 0.06, count))
        tones = jitter(rng, mix(color, color * [0.95, 0.74, 0.4], 0.55 * (1 - reach)), count, 0.09)
        layers, shades = [florets.outline(_strap, 0.98, 0.62)], [tones]
        if pose.radius > _FINE_RADIUS:
            layers, shades = [florets.outline(_strap), *layers], [tones * [0.84, 0.74, 0.5], *shades]
        lifted = pose.at(0, -0.18 * (1 - reach) * (1 - pose.squash))
        canvas.polygons(lifted, interleave(*layers), interleave(*shades))


def _draw_seed_head(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """Draws the ball of parachutes: thin spokes with a tuft of hairs at each end, some blown away."""
    ball = pose.at(0, 0, squash=max(0.9, pose.squash))
    light, behind = pick(rng, colors("e8e8e4", "f4f4f4", "d8d6cc"), 6), canvas.color_at(pose)
    angles = rng.uniform(0, 2 * np.pi, int(np.clip(pose.radius * 1.3, 40, 170)))
    if chance(rng, 0.25):
        angles = angles[np.cos(angles - rng.uniform(0, 2 * np.pi)) < rng.uniform(0.2, 0.8)]
        canvas.disc(ball, 0.3, mix(behind, light, 0.25))
    else:
        for size, share in ((0.95, 0.1), (0.82, 0.2), (0.66, 0.28), (0.45, 0.34)):
            canvas.disc(ball, size, mix(behind, light, share))
    # Tips lie on a sphere: many spokes are foreshortened.
    distance = 0.93 * np.sqrt(1 - rng.uniform(0, 0.98, len(angles)) ** 2)
    tips = (distance * [np.cos(angles), np.sin(angles)]).T
    canvas.lines(ball, np.stack([tips * 0.15, tips], axis=1), mix(behind, light, 0.6), 0.006)
    canvas.disc(ball, rng.uniform(0.09, 0.16), pick(rng, colors("5a4a2a", "7a6a40", "8a8a5a")))
    hairs = (len(angles), 7 if pose.radius > _FINE_RADIUS else 4)
    fan = angles[:, None] + rng.uniform(-1.25, 1.25, hairs)
    ends = tips[:, None, :] + rng.uniform(0.1, 0.24, (*hairs, 1)) * np.stack([np.cos(fan), np.sin(fan)], axis=-1)
    tufts = np.stack([np.broadcast_to(tips[:, None, :], ends.shape), ends], axis=2).reshape(-1, 2, 2)
    canvas.lines(ball, tufts, jitter(rng, mix(behind, light, 0.85), len(tufts), 0.06), 0.007)
