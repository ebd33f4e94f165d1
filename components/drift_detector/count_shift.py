"""Whether shares have moved: labels, and sizes of photos, by TFDV's drift comparator and by what chance explains."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
import tensorflow_data_validation as tfdv
from scipy.spatial import distance
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

L_INFINITY: Final = "infinity_norm"
JENSEN_SHANNON: Final = "jensen_shannon_divergence"

_DRAWS: Final = 999
_FEATURE: Final = "value"
_ROUNDING: Final = 1e-9
_BINS: Final = 10

# As TFDV has them: of draws of counts, [N, C], from one row of shares.
_MEASURES: Final[Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    L_INFINITY: lambda p, q: np.abs(p - q).max(axis=1),
    JENSEN_SHANNON: lambda p, q: distance.jensenshannon(p, q, base=2, axis=1) ** 2,
}


class CountShift(NamedTuple):
    """TFDV's distance, whether that is above the limit, and how often chance alone gives it."""

    distance: float
    is_above: bool
    p_value: float


def compare_counts(before: Mapping[str, int], now: Mapping[str, int], comparator: str, limit: float) -> CountShift:
    """Compares two samples of a categorical feature.

    Args:
        before: Count by category, of which there is at least one.
        now: The same of the other sample.
        comparator: TFDV's: `L_INFINITY` or `JENSEN_SHANNON`.
        limit: The distance that is no anomaly yet.

    Returns:
        The distance, and its p-value by permutation: how the samples would differ if the same examples were dealt to
        both at random.
    """
    feature = schema_pb2.Feature(name=_FEATURE, type=schema_pb2.BYTES)
    getattr(feature.drift_comparator, comparator).threshold = limit
    found = tfdv.validate_statistics(
        _statistics(now), schema_pb2.Schema(feature=[feature]), previous_statistics=_statistics(before)
    )
    measured = found.drift_skew_info[0].drift_measurements[0]
    return CountShift(measured.value, measured.value > limit, _p_value(before, now, comparator))


def bin_sizes(before: np.ndarray, now: np.ndarray) -> tuple[dict[str, int], dict[str, int]]:
    """Counts sizes: each one by itself if there are few different ones, else by the tenths of all.

    Args:
        before: int [N], of one sample.
        now: int [M], of the other one.

    Returns:
        Counts of both, by the same bins.
    """
    pooled = np.concatenate([before, now])
    edges = np.unique(pooled)
    if len(edges) > _BINS:
        edges = np.unique(np.quantile(pooled, np.linspace(0, 1, _BINS + 1)[:-1]))
    counted = (np.bincount(np.searchsorted(edges, sizes, "right"), minlength=len(edges) + 1) for sizes in (before, now))
    first, second = ({str(edge): int(count) for edge, count in zip(edges, row[1:], strict=True)} for row in counted)
    return first, second


def _p_value(before: Mapping[str, int], now: Mapping[str, int], comparator: str) -> float:
    rows = np.array([[counts.get(name, 0) for name in {**before, **now}] for counts in (before, now)])
    total, size = rows.sum(axis=0), int(rows[1].sum())
    drawn = np.random.default_rng(0).multivariate_hypergeometric(total, size, _DRAWS, method="marginals")
    drawn = np.concatenate([rows[1:], drawn])
    distances = _MEASURES[comparator]((total - drawn) / (total.sum() - size), drawn / size)
    return float(np.mean(distances >= distances[0] - _ROUNDING))


def _statistics(counts: Mapping[str, int]) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns what TFDV's generators would say of such a feature."""
    total = sum(counts.values())
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    feature = statistics.datasets.add(num_examples=total).features.add(type=statistics_pb2.FeatureNameStatistics.STRING)
    feature.path.step.append(_FEATURE)
    common = feature.string_stats.common_stats
    common.num_non_missing = common.tot_num_values = total
    common.min_num_values = common.max_num_values = 1
    present = [(name, count) for name, count in counts.items() if count]
    feature.string_stats.unique = len(present)
    for rank, (name, count) in enumerate(present):
        feature.string_stats.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=name, sample_count=count)
    return statistics
