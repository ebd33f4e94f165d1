"""Outlines of petals and leaves."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from components.example_gen.synthetic_flowers.palette import Array

Profile = Callable[[Array], Array]

_STEPS = np.linspace(0.0, 1.0, 9)


def leaf_profile(t: Array) -> Array:
    """Half-width of a leaf or a pointed petal: broad in the middle."""
    return np.clip(1.9 * (t + 0.04) ** 0.72 * (1 - t) ** 0.68, 0, 1)


def blade_profile(t: Array) -> Array:
    """Half-width of a blade of grass: broadest at the base."""
    return np.sqrt(1 - t)


@dataclasses.dataclass(frozen=True)
class Petals:
    """Petals, leaves or blades that point away from an origin.

    Attributes:
        angles: Directions in radians [P].
        lengths: Distances of the tips from the origin, [P] or one for all.
        widths: Largest half-widths, [P] or one for all.
        bends: Sideways displacements of the tips, [P] or one for all.
        start: Distance of the bases from the origin.
    """

    angles: Array
    lengths: Array | float
    widths: Array | float
    bends: Array | float = 0.0
    start: float = 0.0

    def outline(self, profile: Profile, length: float = 1.0, width: float = 1.0) -> Array:
        """Traces the petals.

        Args:
            profile: Half-width along the petal, for positions 0 (base) to 1 (tip); at most 1.
            length: Share of each petal's length to trace.
            width: Share of each petal's width to trace.

        Returns:
            Polygons [P, 18, 2].
        """
        half = _half_widths(profile) * (np.reshape(self.widths, (-1, 1)) * width)
        along = self.start + _STEPS * (np.reshape(self.lengths, (-1, 1)) * length - self.start)
        across = np.reshape(self.bends, (-1, 1)) * length * _STEPS**2
        cos, sin = np.cos(self.angles)[:, None], np.sin(self.angles)[:, None]
        there, back = slice(None, len(_STEPS)), slice(None, len(_STEPS) - 1, -1)
        points = np.empty((len(self.angles), 2 * len(_STEPS), 2))
        for side, edge in ((there, across + half), (back, across - half)):
            points[:, side, 0] = along * cos - edge * sin
            points[:, side, 1] = along * sin + edge * cos
        return points


@functools.lru_cache
def _half_widths(profile: Profile) -> Array:
    return profile(_STEPS)


def interleave(*layers: Array) -> Array:
    """Orders layers [P, ...] petal by petal, so that each petal covers the one before: [P * len(layers), ...]."""
    return np.stack(layers, axis=1).reshape(-1, *layers[0].shape[1:])
