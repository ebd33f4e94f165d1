"""A drawing surface with smooth-edged petals, whorls and discs.

Colours are red, green and blue from 0 to 255. Angles are in radians, clockwise from the right.
"""

import bisect
import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Random = np.random.Generator
_Choice = TypeVar("_Choice")

_STEPS = 256
_ALONG = np.linspace(0, 1, _STEPS, dtype=np.float32)
# Brightness of a petal from its margin (0) to its middle (1): a dark rim, veins and a lit midrib.
_RELIEF = np.asarray(0.66 + 0.46 * _ALONG**0.3 + 0.04 * np.sin(16 * _ALONG) * _ALONG, np.float32)
_HALF = np.float32(0.5)


def outline(half_width: Callable[[Array], Array]) -> Array:
    """Tabulates a petal's half-width, 0 to 1, from its base to its tip. Nothing is drawn beyond the two."""
    table = np.asarray(half_width(_ALONG), np.float32)
    table[[0, -1]] = -1
    return table


def mix(first: Array, second: Array, share: Array | float) -> Array:
    """Blends colours, `share` of the second."""
    return np.asarray(first + (second - first) * share, np.float32)


def gradient(first: Array, second: Array, power: float = 1.0) -> Array:
    """Tabulates colours [3, 256] from a petal's base to its tip; with a high power the first colour prevails."""
    return mix(first[:, None], second[:, None], _ALONG**power)


def colors(*hexes: str) -> Array:
    """Converts "rrggbb" strings to colours [P, 3]."""
    return np.array([list(bytes.fromhex(text)) for text in hexes], np.float32)


def pick(rng: Random, choices: Array, spread: float = 12.0) -> Array:
    """Takes one of the colours [P, 3] and shifts its channels by about `spread`."""
    return choices[rng.integers(len(choices))] + np.float32(spread) * rng.standard_normal(3, np.float32)


def choose(rng: Random, shares: Mapping[_Choice, float]) -> _Choice:
    """Takes one of the keys, with probabilities in proportion to the values."""
    limits = list(itertools.accumulate(shares.values()))
    return list(shares)[bisect.bisect(limits, rng.random() * limits[-1])]


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a flower head is, and how it faces the camera."""

    x: float
    y: float
    radius: float  # in pixels
    lean: float = 0.0  # its rotation
    squash: float = 1.0  # of the y axis before the rotation: 1 faces the camera, 0 is seen edge-on

    def at(self, y: float, scale: float, squash: float) -> "Pose":
        """Returns the pose of a part at (0, y), `scale` times as large and with its own foreshortening."""
        reach = y * self.squash * self.radius
        x, y = self.x - reach * math.sin(self.lean), self.y + reach * math.cos(self.lean)
        return Pose(x, y, self.radius * scale, self.lean, squash)


@dataclasses.dataclass(frozen=True)
class Petal:
    """A petal, leaf, blade or stem: an `outline` with a colour [3] or `gradient`, and a sideways bend of its tip."""

    length: float
    width: float
    shape: Array
    tones: Array
    bend: float = 0.0


class Canvas:
    """An RGB picture, pixels [3, height * width], and the means to draw plants on it."""

    def __init__(self, pixels: Array):
        self.height, self.width = pixels.shape[1:]
        self.pixels = pixels.reshape(3, -1)
        self._index = np.arange(self.height * self.width).reshape(self.height, self.width)

    def image(self) -> Image.Image:
        """Returns the picture as an image."""
        planes = np.clip(self.pixels, 0, 255).astype(np.uint8).reshape(3, self.height, self.width)
        return Image.merge("RGB", [Image.fromarray(plane) for plane in planes])

    def blend(self, where: Indices, inside: Array, color: Array) -> None:
        """Lays colours [3, n] over pixels `where` [n], which are `inside` [n] pixels within the edge of a shape."""
        patch = self.pixels.take(where, axis=1)
        patch += (color - patch) * np.minimum(np.maximum(inside + _HALF, 0), np.float32(1))
        self.pixels[:, where] = patch

    def polar(self, pose: Pose, reach: float = 1.0) -> tuple[Indices, Array, Array]:
        """Returns the pixels within `reach` radii of a head: where they are, their radii, and angles from 0 to 2 pi."""
        index, dx, dy = self._window(pose.x, pose.y, reach * pose.radius, reach * pose.radius)
        cos, sin = math.cos(pose.lean) / pose.radius, math.sin(pose.lean) / pose.radius
        x, y = dx * cos + dy * sin, dy * (cos / pose.squash) - dx * (sin / pose.squash)
        square = x * x + y * y
        near = np.flatnonzero(square < reach * reach)
        theta = np.arctan2(y.take(near), x.take(near)) + np.float32(math.pi)
        return index.take(near), np.sqrt(square.take(near)), theta

    def disc(self, pose: Pose, radius: float, color: Array) -> None:
        """Draws a disc around a head's centre."""
        where, distance, _ = self.polar(pose, radius)
        self.blend(where, (radius - distance) * pose.radius, color[:, None])

    def petal(self, base: tuple[float, float], angle: float, petal: Petal) -> None:
        """Draws one petal of lengths in pixels that begins at `base`."""
        # Python's numbers: NumPy's would turn arrays into float64.
        cos, sin, length, bend = math.cos(angle), math.sin(angle), float(petal.length), float(petal.bend)
        margin = petal.width + abs(bend)
        middle = base[0] + cos * length / 2, base[1] + sin * length / 2
        index, dx, dy = self._window(*middle, abs(cos) * length / 2 + margin, abs(sin) * length / 2 + margin)
        along = dx * (cos / length) + (dy * (sin / length) + _HALF)
        across = dy * cos - dx * sin - along * along * bend
        near = np.flatnonzero((np.abs(across) < petal.width + 1) & (np.abs(along - _HALF) < _HALF))
        self._paint(index.take(near), along.take(near), across.take(near), petal)

    def whorl(self, pose: Pose, rng: Random, count: int, petal: Petal) -> None:
        """Draws a ring of uneven petals around a head's centre, with lengths in its radii."""
        where, radius, theta = self.polar(pose, petal.length * 1.15)
        place = theta * (count / (2 * math.pi)) + rng.uniform(0, count)
        index = place.astype(np.intp)
        lengths = petal.length * np.clip(rng.normal(1, 0.07, count), 0.5, 1.15)
        light = rng.normal(1, 0.07, count) + 0.1 * np.cos(np.arange(count) * (2 * np.pi / count) - rng.uniform(0, 7))
        each = np.asarray([0.5 + rng.normal(0, 0.1, count), 1 / lengths, light], np.float32)[
            :, np.arange(2 * count + 1) % count
        ]
        centers, stretch, light = each.take(index, axis=1)
        across = (place - index.astype(np.float32) - centers) * radius * (2 * math.pi / count * pose.radius)
        scaled = dataclasses.replace(petal, width=petal.width * pose.radius)
        self._paint(where, radius * stretch, across, scaled, light)

    def _window(self, x: float, y: float, reach_x: float, reach_y: float) -> tuple[Indices, Array, Array]:
        """Returns the pixels within reach of (x, y): where they are [h, w], and their distances [1, w] and [h, 1]."""
        left, right = max(0, int(x - reach_x)), min(self.width, int(x + reach_x) + 2)
        top, bottom = max(0, int(y - reach_y)), min(self.height, int(y + reach_y) + 2)
        columns = np.arange(left, max(left, right), dtype=np.float32) - np.float32(x)
        rows = np.arange(top, max(top, bottom), dtype=np.float32) - np.float32(y)
        return self._index[top : top + len(rows), left : left + len(columns)], columns[None], rows[:, None]

    def _paint(self, where: Indices, along: Array, across: Array, petal: Petal, light: Array | float = 1.0) -> None:
        """Shades pixels of petals: `along` is 0 to 1 from base to tip, `across` pixels from the midrib."""
        step = (along * _STEPS).astype(np.intp)
        half = petal.shape.take(step, mode="clip") * petal.width
        inside = half - np.abs(across)
        relief = _RELIEF.take((inside / np.maximum(half, np.float32(0.1)) * _STEPS).astype(np.intp), mode="clip")
        tones = petal.tones[:, None] if petal.tones.ndim == 1 else petal.tones.take(step, axis=1, mode="clip")
        self.blend(where, inside, tones * (relief * light))
