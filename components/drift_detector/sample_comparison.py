"""What has moved between two samples of photos: labels, sizes, features."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from components.contracts.drift import SIGNIFICANCE, ClassShift, DriftReport, Shift
from components.drift_detector.count_shift import JENSEN_SHANNON, L_INFINITY, bin_sizes, compare_counts
from components.drift_detector.feature_shift import FeatureShift, Sample, compare_features
from components.drift_detector.photo_sample import PhotoSample

# Of a class's share, and half of an even share where there are many classes: with thousands of photos, less is
# significant as well.
_MAX_SHARE_CHANGE: Final = 0.05
_MAX_SIZE_DIVERGENCE: Final = 0.05
_MAX_AUC: Final = 0.55
_NAMED_CLASSES: Final = 3


def compare_samples(before: PhotoSample, now: PhotoSample) -> DriftReport:
    """Compares a run's photos with the baseline's.

    Args:
        before: The baseline's.
        now: The run's.
    """
    shifts = [_label_shift(before, now), *_size_shifts(before, now)]
    aucs: dict[str, float] = {}
    remark = ""
    if before.backbone != now.backbone or before.features.shape[1] != now.features.shape[1]:
        remark = "features are not compared: they come from another backbone, image size or precision"
    elif (found := compare_features(*_same_labels(before, now))) is None:
        remark = "features are not compared: no class has ten photos in both"
    else:
        names = _all_names(before, now)
        aucs = {names[label]: auc for label, auc in found.class_aucs.items()}
        shifts.append(_feature_shift(found, names))
    shares = {name: _shares(before, now, name) for name in _all_names(before, now)}
    classes = [ClassShift(name, *shares[name], aucs.get(name)) for name in shares]
    return DriftReport(now.total, before.total, shifts, classes, remark)


def _all_names(before: PhotoSample, now: PhotoSample) -> list[str]:
    """Returns all classes, the run's first: a class keeps its name, not its number."""
    return list(dict.fromkeys([*now.class_names, *before.class_names]))


def _shares(before: PhotoSample, now: PhotoSample, name: str) -> tuple[float, float]:
    first, second = (sample.class_counts.get(name, 0) / max(sample.total, 1) for sample in (before, now))
    return first, second


def _label_shift(before: PhotoSample, now: PhotoSample) -> Shift:
    names = _all_names(before, now)
    limit = min(_MAX_SHARE_CHANGE, 0.5 / len(names))
    found = compare_counts(before.class_counts, now.class_counts, L_INFINITY, limit)
    most = max(names, key=lambda name: abs(np.subtract(*_shares(before, now, name))))
    share_before, share_now = _shares(before, now, most)
    detail = f"{most} {share_before:.1%} before, {share_now:.1%} now"
    return Shift(
        "labels", "largest change of a class's share", found.distance, limit, found.p_value,
        found.is_above and found.p_value <= SIGNIFICANCE, detail,
    )  # fmt: skip


def _size_shifts(before: PhotoSample, now: PhotoSample) -> Iterator[Shift]:
    for axis, what in enumerate(("longer sides", "shorter sides")):
        sizes = before.sizes[:, axis], now.sizes[:, axis]
        found = compare_counts(*bin_sizes(*sizes), JENSEN_SHANNON, _MAX_SIZE_DIVERGENCE)
        median_before, median_now = (np.median(values) for values in sizes)
        detail = f"median {median_before:.0f} before, {median_now:.0f} now"
        # Two looks at one thing.
        moved = found.is_above and found.p_value <= SIGNIFICANCE / 2
        yield Shift(
            what, "Jensen-Shannon divergence", found.distance, _MAX_SIZE_DIVERGENCE, found.p_value, moved, detail
        )


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
