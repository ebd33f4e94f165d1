"""95% confidence intervals of accuracies and of differences between them."""

import dataclasses
import math

from components.common.text import counted

# 97.5% quantile of the standard normal distribution.
_Z = 1.959963984540054


@dataclasses.dataclass(frozen=True)
class Interval:
    """A 95% confidence interval and its method."""

    low: float
    high: float
    method: str

    def holds(self, value: float) -> bool:
        """Tells whether a value lies within it, ends included."""
        return self.low <= value <= self.high


def wilson(correct: int, total: int) -> Interval:
    """Interval of a proportion (Wilson 1927, the score interval), within [0, 1]; without photos, all of it.

    As `scipy.stats.binomtest(correct, total).proportion_ci(method="wilson")`, but importing scipy.stats takes longer
    than a whole command.
    """
    if not total:
        return Interval(0.0, 1.0, "no photos")
    share = correct / total
    center = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    margin = _Z / (1 + _Z**2 / total) * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return Interval(max(0.0, center - margin), min(1.0, center + margin), f"Wilson, {counted(total, 'photo')}")


def paired_difference(only_first: int, only_second: int, total: int) -> Interval:
    """Interval of first minus second accuracy on the same photos (Bonett and Price 2012, adjusted Wald), in [-1, 1].

    `only_first` and `only_second` count the photos that only this model classified correctly, `total` all of them, at
    least 1.
    """
    first, second = (only_first + 1) / (total + 2), (only_second + 1) / (total + 2)
    margin = _Z * math.sqrt((first + second - (first - second) ** 2) / (total + 2))
    difference = first - second
    method = f"paired on the same {counted(total, 'photo')}, Bonett-Price"
    return Interval(max(-1.0, difference - margin), min(1.0, difference + margin), method)


def independent_difference(correct: tuple[int, int], total: tuple[int, int]) -> Interval:
    """Interval of first minus second accuracy on independent photos (Newcombe 1998, method 10).

    For the same photos it is wider than necessary: two models tend to fail on the same ones. `total` is at least 1.
    """
    first, second = (wilson(right, count) for right, count in zip(correct, total, strict=True))
    share_first, share_second = correct[0] / total[0], correct[1] / total[1]
    difference = share_first - share_second
    low = difference - math.hypot(share_first - first.low, second.high - share_second)
    high = difference + math.hypot(first.high - share_first, share_second - second.low)
    return Interval(low, high, f"independent samples of {total[0]:,} and {counted(total[1], 'photo')}, Newcombe")
