"""Whether features have moved: a classifier two-sample test within classes."""

import zlib
from typing import Final, NamedTuple

import numpy as np
from sklearn.decomposition import PCA

_PERMUTATIONS: Final = 199
_FOLDS: Final = 5
_MAX_COMPONENTS: Final = 128
_PHOTOS_PER_COMPONENT: Final = 8
# Share of a component's variance: next to nothing where there are photos enough.
_RIDGE: Final = 0.01
# Of both samples: fewer photos of a class say nothing of it.
_MIN_PER_CLASS: Final = 10
_SEED: Final = 0


class FeatureShift(NamedTuple):
    """What the test found.

    Attributes:
        auc: How often the classifier finds the new one of a new and an old photo of one class; 0.5 is chance.
        p_value: How often chance alone gives this AUC, or one of a class, that stands out as much.
        class_aucs: The AUC within a class, by label.
        class_p_values: How often chance alone gives any AUC that stands out as much as this one, by label.
    """

    auc: float
    p_value: float
    class_aucs: dict[int, float]
    class_p_values: dict[int, float]


class Sample(NamedTuple):
    """Features float32 [N, D] and labels int64 [N]; labels of both samples mean the same classes."""

    features: np.ndarray
    labels: np.ndarray


def compare_features(before: Sample, now: Sample) -> FeatureShift | None:
    """Asks whether a classifier can tell photos of one sample from those of the other (Lopez-Paz and Oquab, 2017).

    A ridge classifier on principal components scores the photos of each fold by what it learns from the other folds.
    Everything happens within classes, so that a class that has grown is no shift of features. P-values come from
    permutations within classes, for which a linear classifier needs no training of its own.

    Args:
        before: One sample.
        now: The other one.

    Returns:
        The result; None when no class has at least 10 photos in both.
    """
    before, now = _without_repetitions(before), _without_repetitions(now)
    shared = _shared_classes(before.labels, now.labels)
    if not shared:
        return None
    features = np.concatenate([before.features, now.features]).astype(np.float32)
    labels = np.concatenate([before.labels, now.labels])
    is_new = np.repeat([0.0, 1.0], [len(before.labels), len(now.labels)])
    # In random order: photos that both samples have get equal scores, and the order decides which one is higher.
    order = np.random.default_rng(_SEED).permutation(len(labels))
    chosen = order[np.isin(labels[order], shared)]
    features, labels, is_new = features[chosen], labels[chosen], is_new[chosen]
    # A photo that both samples have must not be learnt from one and predicted in the other.
    folds = np.array([zlib.crc32(row.tobytes()) % _FOLDS for row in features])
    dealt = _permuted(is_new, labels)
    scores = _scores(_components(features, labels), _centered(dealt, labels), folds)
    aucs = np.stack([_auc(scores, dealt, folds, labels == label) for label in shared])
    pairs = np.array([is_new[labels == label].sum() * (1 - is_new[labels == label]).sum() for label in shared])
    everything = np.concatenate([np.average(aucs, axis=0, weights=pairs)[None], aucs])
    chance = everything[:, 1:]
    spread = np.maximum(chance.std(axis=1, keepdims=True), np.finfo(np.float32).eps)
    standing = (everything - chance.mean(axis=1, keepdims=True)) / spread
    # Westfall and Young (1993): against the highest of all, no p-value is too low for being one of many.
    p_values = (standing.max(axis=0) >= standing[:, :1]).mean(axis=1)
    return FeatureShift(
        auc=float(everything[0, 0]),
        p_value=float(p_values.min()),
        class_aucs=dict(zip(shared, aucs[:, 0].tolist(), strict=True)),
        class_p_values=dict(zip(shared, p_values[1:].tolist(), strict=True)),
    )


def _without_repetitions(sample: Sample) -> Sample:
    """Drops photos that a sample has twice: they would be more alike than chance allows."""
    first = {row.tobytes(): index for index, row in reversed(list(enumerate(sample.features)))}
    kept = np.sort(np.fromiter(first.values(), np.int64, len(first)))
    return Sample(sample.features[kept], sample.labels[kept])


def _shared_classes(*labels: np.ndarray) -> list[int]:
    counts = [np.unique(values, return_counts=True) for values in labels]
    enough = [set(names[number >= _MIN_PER_CLASS].tolist()) for names, number in counts]
    return sorted(set.intersection(*enough))


def _permuted(is_new: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns [N, 1 + permutations]: which photos are new, and the same dealt anew within classes."""
    random = np.random.default_rng(_SEED)
    dealt = np.repeat(is_new[:, None], 1 + _PERMUTATIONS, axis=1)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        dealt[rows, 1:] = random.permuted(dealt[rows, 1:], axis=0)
    return dealt


def _centered(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Subtracts from [N, M] the mean of every class."""
    centered = values.copy()
    for label in np.unique(labels):
        centered[labels == label] -= values[labels == label].mean(axis=0)
    return centered


def _components(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns principal components of variance 1; square roots make features that come from a ReLU less skewed."""
    rooted = _centered(np.sign(features) * np.sqrt(np.abs(features)), labels)
    number = max(1, min(_MAX_COMPONENTS, len(features) // _PHOTOS_PER_COMPONENT, features.shape[1]))
    pca = PCA(number, whiten=True, svd_solver="randomized", random_state=_SEED)
    whitened: np.ndarray = pca.fit_transform(rooted)
    return np.nan_to_num(whitened)


def _scores(components: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Returns what ridge regressions predict for the targets [N, M] of folds that they were not fitted to."""
    scores = np.zeros_like(targets)
    for fold in range(_FOLDS):
        held_out = folds == fold
        known = components[~held_out]
        gram = known.T @ known + _RIDGE * len(known) * np.eye(known.shape[1])
        scores[held_out] = components[held_out] @ np.linalg.solve(gram, known.T @ targets[~held_out])
    return scores


def _auc(scores: np.ndarray, is_new: np.ndarray, folds: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns the AUC of every column over the chosen photos, compared within folds."""
    wins, pairs = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for fold in range(_FOLDS):
        rows = chosen & (folds == fold)
        new = is_new[rows].sum(axis=0)
        ranked = np.take_along_axis(is_new[rows], np.argsort(scores[rows], axis=0), axis=0)
        wins += np.arange(1, len(ranked) + 1) @ ranked - new * (new + 1) / 2
        pairs += new * (rows.sum() - new)
    return np.divide(wins, pairs, out=np.full_like(wins, 0.5), where=pairs > 0)
