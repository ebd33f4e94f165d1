"""Colours, as arrays of red, green and blue from 0 to 255, and chance."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BLACK = np.zeros(3)
WHITE = np.full(3, 255.0)


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Returns True with the given probability."""
    return bool(rng.random() < probability)


def mix(first: Array, second: Array, share: Array | float) -> Array:
    """Blends colours, `share` of the second."""
    weight = np.expand_dims(share, -1)
    return first * (1 - weight) + second * weight


def jitter(rng: np.random.Generator, color: Array, count: int, spread: float) -> Array:
    """Varies the brightness of a colour: [count, 3] with relative standard deviation `spread`."""
    return color * (1 + spread * rng.standard_normal((count, 1)))


def pick(rng: np.random.Generator, choices: Array, spread: float = 14.0, weights: Array | None = None) -> Array:
    """Takes one of the colours [P, 3], by weights [P] if given, and shifts each channel by about `spread`."""
    index = rng.integers(len(choices)) if weights is None else rng.choice(len(choices), p=weights / weights.sum())
    return np.clip(choices[index] + spread * rng.standard_normal(3), 0, 255)


def colors(*hexes: str) -> Array:
    """Converts "rrggbb" strings to colours [P, 3]."""
    return np.array([list(bytes.fromhex(text)) for text in hexes], np.float64)
