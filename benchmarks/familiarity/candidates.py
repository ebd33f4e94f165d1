"""Ways to tell how familiar features are, all fitted on features of training photos: what could be served."""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

Score = Callable[[np.ndarray], np.ndarray]  # from features [N, D]: the higher, the more familiar [N]
Fit = Callable[[np.ndarray, np.ndarray], Score]  # from directions [N, D] and labels [N]


def _nearest(directions: np.ndarray, labels: np.ndarray, neighbors: int) -> Score:
    """Cosine of the k-th nearest (Sun et al. 2022)."""
    del labels
    return lambda asked: np.partition(asked @ directions.T, -neighbors, axis=1)[:, -neighbors]


def _local(directions: np.ndarray, labels: np.ndarray, neighbors: int) -> Score:
    """Distance in units of each training photo's own distance from its neighbours."""
    del labels

    def distances(asked: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(2 - 2 * asked @ directions.T, 1e-12))

    own = np.sort(distances(directions), axis=1)[:, 1 : neighbors + 1].mean(axis=1)
    return lambda asked: -np.sort(distances(asked) / own, axis=1)[:, :neighbors].mean(axis=1)


def _mahalanobis(directions: np.ndarray, labels: np.ndarray, relative: bool) -> Score:
    """Distance from the nearest class, of one shrunk covariance (Lee et al. 2018); relative as in Ren et al. 2021."""
    means = np.stack([directions[labels == label].mean(axis=0) for label in np.unique(labels)])
    mean = directions.mean(axis=0)
    within, overall = _whitening(directions - means[labels]), _whitening(directions - mean)

    def score(asked: np.ndarray) -> np.ndarray:
        nearest = np.min([np.sum(((asked - center) @ within) ** 2, axis=1) for center in means], axis=0)
        return -nearest + (np.sum(((asked - mean) @ overall) ** 2, axis=1) if relative else 0)

    return score


def _low_rank(directions: np.ndarray, labels: np.ndarray, components: int) -> Score:
    """Mahalanobis distance on principal components, and the rest of the variance alike in all directions."""
    del labels
    mean = directions.mean(axis=0)
    _, values, axes = np.linalg.svd(directions - mean, full_matrices=False)
    variances, axes = values[:components] ** 2 / len(directions), axes[:components].T
    rest = np.sum(values[components:] ** 2) / len(directions) / (directions.shape[1] - components)

    def score(asked: np.ndarray) -> np.ndarray:
        inside = (asked - mean) @ axes
        outside = np.sum((asked - mean) ** 2, axis=1) - np.sum(inside**2, axis=1)
        return -np.sum(inside**2 / variances, axis=1) - outside / rest

    return score


def _whitening(centered: np.ndarray, shrinkage: float = 0.1) -> np.ndarray:
    covariance = centered.T @ centered / len(centered)
    size = len(covariance)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / size * np.eye(size)
    return np.linalg.cholesky(np.linalg.inv(covariance))


CANDIDATES: Final[dict[str, Fit]] = {
    "nearest": partial(_nearest, neighbors=1),
    "10th_nearest": partial(_nearest, neighbors=10),
    "4_nearest_in_local_units": partial(_local, neighbors=4),
    "mahalanobis": partial(_mahalanobis, relative=False),
    "relative_mahalanobis": partial(_mahalanobis, relative=True),
    "mahalanobis_64_components": partial(_low_rank, components=64),
}
