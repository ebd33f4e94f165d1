"""Differences between two samples of photos: of labels and sizes by their counts, of features by a classifier."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
from scipy.spatial import distance
from sklearn.decomposition import PCA

from components.contracts.drift import SIGNIFICANCE, ClassShift, DriftReport, Shift
from components.drift_detector.photo_sample import PhotoSample

# Largest change of a class's share; with many classes half of an even share. With thousands of photos, smaller changes
# are significant as well.
_MAX_SHARE_CHANGE: Final = 0.05
_MAX_SIZE_DIVERGENCE: Final = 0.05
_MAX_AUC: Final = 0.55
_NAMED_CLASSES: Final = 3
_SEED: Final = 0

# Of counts.
_DRAWS: Final = 999
_ROUNDING: Final = 1e-9
_BINS: Final = 10

# Of features.
_PERMUTATIONS: Final = 199
_FOLDS: Final = 5
_MAX_COMPONENTS: Final = 128
_PHOTOS_PER_COMPONENT: Final = 8
# Share of a component's variance: negligible where there are enough photos.
_RIDGE: Final = 0.01
# In both samples: fewer photos of a class say nothing about it.
_MIN_PER_CLASS: Final = 10

# Distances between shares p [N, C] and q [N, C].
Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def l_infinity(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Returns the largest difference of a category's shares, [N]."""
    return np.asarray(np.abs(p - q).max(axis=1))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Returns the Jensen-Shannon divergence in bits, [N]."""
    return np.asarray(distance.jensenshannon(p, q, base=2, axis=1) ** 2)


class FeatureShift(NamedTuple):
    """Result of the classifier two-sample test; the dictionaries are by label."""

    auc: float  # probability that the classifier scores a new photo higher than an old one of its class; 0.5 is chance
    p_value: float  # the lowest, of all photos and of every class
    class_aucs: dict[int, float]
    class_p_values: dict[int, float]  # share of permutations in which any AUC is as extreme as the class's


class Sample(NamedTuple):
    """Features float32 [N, D] and labels int64 [N]; labels of both samples mean the same classes."""

    features: np.ndarray
    labels: np.ndarray


def compare_samples(before: PhotoSample, now: PhotoSample) -> DriftReport:
    """Compares a run's photos with the baseline's."""
    shifts = [_label_shift(before, now), *_size_shifts(before, now)]
    aucs: dict[str, float] = {}
    remark = ""
    names = _all_names(before, now)
    if before.backbone != now.backbone or before.features.shape[1] != now.features.shape[1]:
        remark = "features are not compared: they come from another backbone or image size"
    elif (found := compare_features(*_same_labels(before, now))) is None:
        remark = "features are not compared: no class has ten photos in both runs"
    else:
        aucs = {names[label]: auc for label, auc in found.class_aucs.items()}
        shifts.append(_feature_shift(found, names))
    classes = [ClassShift(name, _share(before, name), _share(now, name), aucs.get(name)) for name in names]
    return DriftReport(now.total, before.total, shifts, classes, remark)


def _all_names(before: PhotoSample, now: PhotoSample) -> list[str]:
    """Returns all classes, the run's first: a class keeps its name, not its number."""
    return list(dict.fromkeys([*now.class_names, *before.class_names]))


def _share(sample: PhotoSample, name: str) -> float:
    return sample.class_counts.get(name, 0) / max(sample.total, 1)


def _label_shift(before: PhotoSample, now: PhotoSample) -> Shift:
    names = _all_names(before, now)
    limit = min(_MAX_SHARE_CHANGE, 0.5 / len(names))
    value, p_value = compare_counts(before.class_counts, now.class_counts, l_infinity)
    most = max(names, key=lambda name: abs(_share(before, name) - _share(now, name)))
    detail = f"{most} {_share(before, most):.1%} before, {_share(now, most):.1%} now"
    moved = value > limit and p_value <= SIGNIFICANCE
    return Shift("labels", "largest change of a class's share", value, limit, p_value, moved, detail)


def _size_shifts(before: PhotoSample, now: PhotoSample) -> Iterator[Shift]:
    for axis, what in enumerate(("longer sides", "shorter sides")):
        sizes = before.sizes[:, axis], now.sizes[:, axis]
        value, p_value = compare_counts(*bin_sizes(*sizes), jensen_shannon)
        median_before, median_now = (np.median(values) for values in sizes)
        detail = f"median {median_before:.0f} before, {median_now:.0f} now"
        # Two tests of one property.
        moved = value > _MAX_SIZE_DIVERGENCE and p_value <= SIGNIFICANCE / 2
        yield Shift(what, "Jensen-Shannon divergence", value, _MAX_SIZE_DIVERGENCE, p_value, moved, detail)


def compare_counts(before: Mapping[str, int], now: Mapping[str, int], measure: Distance) -> tuple[float, float]:
    """Compares two samples' counts by category; in each sample at least one is positive.

    Returns the distance of their shares, and its p-value by permutation: the share of random deals of the same
    examples to both samples that give at least this distance.
    """
    rows = np.array([[counts.get(name, 0) for name in {**before, **now}] for counts in (before, now)])
    total, size = rows.sum(axis=0), int(rows[1].sum())
    drawn = np.random.default_rng(_SEED).multivariate_hypergeometric(total, size, _DRAWS, method="marginals")
    drawn = np.concatenate([rows[1:], drawn])
    distances = measure((total - drawn) / (total.sum() - size), drawn / size)
    return float(distances[0]), float(np.mean(distances >= distances[0] - _ROUNDING))


def bin_sizes(before: np.ndarray, now: np.ndarray) -> tuple[dict[str, int], dict[str, int]]:
    """Counts int sizes [N] and [M] in the same bins: one per size if there are few sizes, else deciles of all."""
    pooled = np.concatenate([before, now])
    edges = np.unique(pooled)
    if len(edges) > _BINS:
        edges = np.unique(np.quantile(pooled, np.linspace(0, 1, _BINS + 1)[:-1]))
    counted = (np.bincount(np.searchsorted(edges, sizes, "right"), minlength=len(edges) + 1) for sizes in (before, now))
    first, second = ({str(edge): int(count) for edge, count in zip(edges, row[1:], strict=True)} for row in counted)
    return first, second


def _same_labels(before: PhotoSample, now: PhotoSample) -> tuple[Sample, Sample]:
    """Returns features of both with labels that are indices into the same names."""
    names = _all_names(before, now)
    first, second = (
        Sample(sample.features, np.array([names.index(name) for name in sample.class_names])[sample.labels])
        for sample in (before, now)
    )
    return first, second


def _feature_shift(found: FeatureShift, names: list[str]) -> Shift:
    """Describes a shift: of all photos, or of the classes that stand out."""
    standing_out = [
        label
        for label, auc in sorted(found.class_aucs.items(), key=lambda entry: -entry[1])
        if auc > _MAX_AUC and found.class_p_values[label] <= SIGNIFICANCE
    ]
    if standing_out and len(standing_out) < len(found.class_aucs) / 2:
        value = found.class_aucs[standing_out[0]]
        named, others = standing_out[:_NAMED_CLASSES], len(standing_out) - _NAMED_CLASSES
        whose = ", ".join(names[label] for label in named) + (f" and {others} more" if others > 0 else "")
    else:
        value, whose = found.auc, "all classes"
    moved = value > _MAX_AUC and found.p_value <= SIGNIFICANCE
    detail = f"of {whose}, AUC {value:.2f}"
    return Shift("features", "AUC of a classifier", value, _MAX_AUC, found.p_value, moved, detail)


def compare_features(before: Sample, now: Sample) -> FeatureShift | None:
    """Tests whether a classifier can tell photos of one sample from those of the other (Lopez-Paz and Oquab, 2017).

    A ridge classifier on principal components scores the photos of each fold after training on the other folds. All
    comparisons are within classes, so that a growing class does not shift features. P-values come from permutations
    within classes, which a linear classifier scores without further training. Returns None when no class has at least
    10 photos in both.
    """
    before, now = _without_repetitions(before), _without_repetitions(now)
    shared = _shared_classes(before.labels, now.labels)
    if not shared:
        return None
    features = np.concatenate([before.features, now.features]).astype(np.float32)
    labels = np.concatenate([before.labels, now.labels])
    is_new = np.repeat([0.0, 1.0], [len(before.labels), len(now.labels)])
    # In random order: photos in both samples get equal scores, and the order decides which one ranks higher.
    order = np.random.default_rng(_SEED).permutation(len(labels))
    chosen = order[np.isin(labels[order], shared)]
    features, labels, is_new = features[chosen], labels[chosen], is_new[chosen]
    # A photo in both samples must be in one fold: otherwise its copy would be in the training data.
    folds = np.array([zlib.crc32(row.tobytes()) % _FOLDS for row in features])
    dealt = _permuted(is_new, labels)
    scores = _scores(_components(features, labels), _centered(dealt, labels), folds)
    aucs = np.stack([_auc(scores, dealt, folds, labels == label) for label in shared])
    pairs = np.array([is_new[labels == label].sum() * (1 - is_new[labels == label]).sum() for label in shared])
    everything = np.concatenate([np.average(aucs, axis=0, weights=pairs)[None], aucs])
    chance = everything[:, 1:]
    spread = np.maximum(chance.std(axis=1, keepdims=True), np.finfo(np.float32).eps)
    standing = (everything - chance.mean(axis=1, keepdims=True)) / spread
    # Westfall and Young (1993): comparing with the highest of all corrects for multiple tests.
    p_values = (standing.max(axis=0) >= standing[:, :1]).mean(axis=1)
    return FeatureShift(
        auc=float(everything[0, 0]),
        p_value=float(p_values.min()),
        class_aucs=dict(zip(shared, aucs[:, 0].tolist(), strict=True)),
        class_p_values=dict(zip(shared, p_values[1:].tolist(), strict=True)),
    )


def _without_repetitions(sample: Sample) -> Sample:
    """Drops repeated photos, which would bias the test."""
    first = {row.tobytes(): index for index, row in reversed(list(enumerate(sample.features)))}
    kept = np.sort(np.fromiter(first.values(), np.int64, len(first)))
    return Sample(sample.features[kept], sample.labels[kept])


def _shared_classes(*labels: np.ndarray) -> list[int]:
    counts = [np.unique(values, return_counts=True) for values in labels]
    enough = [set(names[number >= _MIN_PER_CLASS].tolist()) for names, number in counts]
    return sorted(set.intersection(*enough))


def _permuted(is_new: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns [N, 1 + permutations]: which photos are new, and permutations of that within classes."""
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
    return np.asarray(np.nan_to_num(pca.fit_transform(rooted)))


def _scores(components: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Returns cross-validated predictions of ridge regressions for the targets [N, M]."""
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
