"""Which examples belong to train, validation and test, as TFDS slices or as hash buckets."""

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Final

from components.common.errors import UserError
from components.contracts import SPLITS, TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT

SPLIT_METHODS: Final = ("count", "hash")
DEFAULT_SPLIT_FRACTIONS: Final = (0.5, 0.25, 0.25)
HASH_BUCKETS: Final = 10_000
AUTO, CLASSES, SPLITS_LAYOUT = "auto", "classes", "splits"
LAYOUTS: Final = (AUTO, CLASSES, SPLITS_LAYOUT)  # what the top folders of photos are
_SPLIT_WORDS: Final = {
    **dict.fromkeys(("train", "training", "trn"), TRAIN_SPLIT),
    **dict.fromkeys(("validation", "valid", "val", "validate", "dev", "eval", "evaluation"), VALIDATION_SPLIT),
    **dict.fromkeys(("test", "testing", "tst"), TEST_SPLIT),
}
# What tools write around the name of a split: training_set, seg_train, train_images, val2017.
_FILLERS: Final = frozenset(("set", "seg", "split", "image", "images", "img", "imgs", "photos", "data", "dataset"))
_PERCENT: Final = 100


def split_of_name(name: str) -> str | None:
    """Returns the split that a folder or a cell of a manifest names, such as Train, val2017 or test_set; or None."""
    words = [word for word in re.split(r"[\W\d_]+", name.casefold()) if word and word not in _FILLERS]
    return _SPLIT_WORDS.get(words[0].removesuffix("set")) if len(words) == 1 else None


def parse_split_fractions(text: str) -> tuple[float, float, float]:
    """Returns the fractions of a text such as "80/10/10" or "0.8/0.1/0.1"; raises ValueError for any other."""
    try:
        shares = [Fraction(share) for share in text.split("/")]
    except ValueError:
        shares = []
    if len(shares) != len(SPLITS) or min(shares) <= 0 or sum(shares) not in (1, _PERCENT):
        raise ValueError(f"{text!r} are not shares of train, validation and test that sum to 100, such as 80/10/10")
    train, validation, test = (float(share / sum(shares)) for share in shares)
    return train, validation, test


def format_split_fractions(fractions: Sequence[float]) -> str:
    """Returns fractions as the option takes them, such as "80/10/10"."""
    return "/".join(f"{fraction * _PERCENT:g}" for fraction in fractions)


def check_split_fractions(fractions: Sequence[float]) -> tuple[Fraction, ...]:
    """Returns the shares of train, validation and test as exact numbers, or raises UserError: 0.1 is one tenth."""
    try:
        exact = tuple(Fraction(str(fraction)) for fraction in fractions)
    except ValueError:
        exact = ()
    if len(exact) != len(SPLITS) or min(exact) <= 0 or sum(exact) != 1:
        received = ", ".join(str(fraction) for fraction in fractions)
        raise UserError(f"split fractions must be {', '.join(SPLITS)} above 0 and sum to 1, received {received}")
    return exact


def hash_buckets(fractions: Sequence[float]) -> dict[str, int]:
    """Returns how many of HASH_BUCKETS buckets each split gets; raises UserError if a fraction is below one."""
    bounds = _boundaries(HASH_BUCKETS, check_split_fractions(fractions))
    buckets = {split: end - start for split, start, end in zip(SPLITS, bounds, bounds[1:], strict=False)}
    if min(buckets.values()) < 1:
        raise UserError(f"a split fraction must be at least {1 / HASH_BUCKETS}, received {list(fractions)}")
    return buckets


def split_slices(split_sizes: Mapping[str, int], fractions: Sequence[float]) -> dict[str, str]:
    """Maps train, validation and test to disjoint TFDS slices of a dataset's own splits, such as "train[:1835]".

    A dataset with one split is cut in three. A dataset with a test or validation split keeps it, and the missing splits
    are cut from the end of train, in the proportion of the fractions. Other splits are not used. Raises UserError if
    the fractions are invalid, or there are several splits and none is called train.
    """
    source, ranges = carved_ranges(split_sizes, fractions)
    carved = {split: f"{source}[{start}:{end}]" for split, (start, end) in ranges.items()}
    return {split: carved.get(split, split) for split in SPLITS}


def carved_ranges(split_sizes: Mapping[str, int], fractions: Sequence[float]) -> tuple[str, dict[str, tuple[int, int]]]:
    """Returns the split that others are cut from, and {split: (start, end) in it} for train and the missing splits."""
    exact = dict(zip(SPLITS, check_split_fractions(fractions), strict=True))
    if len(split_sizes) == 1:
        source, own = next(iter(split_sizes)), set[str]()
    elif TRAIN_SPLIT in split_sizes:
        source, own = TRAIN_SPLIT, {VALIDATION_SPLIT, TEST_SPLIT} & set(split_sizes)
    else:
        raise UserError(f"the dataset has the splits {', '.join(sorted(split_sizes))} but no train split")
    carved = [split for split in SPLITS if split not in own]
    carved_total = sum(exact[split] for split in carved)
    bounds = _boundaries(split_sizes[source], [exact[split] / carved_total for split in carved])
    return source, dict(zip(carved, itertools.pairwise(bounds), strict=True))


def _boundaries(count: int, fractions: Sequence[Fraction]) -> list[int]:
    """Returns the cumulative shares of `count`, each rounded half up: 3670 at 50/25/25 is 1835/918/917."""
    bounds, cumulative = [0], Fraction(0)
    for fraction in fractions:
        cumulative += fraction
        bounds.append(int(count * cumulative + Fraction(1, 2)))
    return bounds


def describe_unused_fractions(own_splits: Collection[str], fractions: Sequence[float]) -> str:
    """Returns one line when other fractions than the default have no effect; otherwise empty."""
    if not set(SPLITS) <= set(own_splits) or tuple(fractions) == DEFAULT_SPLIT_FRACTIONS:
        return ""
    return f"--split {format_split_fractions(fractions)} has no effect: the photos come with all three splits"


def describe_missing_splits(splits: Collection[str]) -> str:
    """Returns the end of a line on missing splits; empty when all are there."""
    missing = [split for split in SPLITS if split not in splits]
    return f"; {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} cut from train" if missing else ""
