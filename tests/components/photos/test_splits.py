"""Which examples go where."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.common.errors import UserError
from components.contracts import SPLITS
from components.photos.splits import (
    HASH_BUCKETS,
    check_split_fractions,
    format_split_fractions,
    hash_buckets,
    parse_split_fractions,
    split_of_name,
    split_slices,
)

DEFAULT = (0.5, 0.25, 0.25)


def positions(pattern: str, sizes: dict[str, int]) -> list[tuple[str, int]]:
    """The examples that a slice selects."""
    source, _, bounds = pattern.rstrip("]").partition("[")
    start, end = (int(bound) for bound in bounds.split(":")) if bounds else (0, sizes[source])
    assert 0 <= start <= end <= sizes[source]
    return [(source, index) for index in range(start, end)]


def test_tf_flowers_splits_are_the_reference_ones():
    assert split_slices({"train": 3670}, DEFAULT) == {
        "train": "train[0:1835]",
        "validation": "train[1835:2753]",
        "test": "train[2753:3670]",
    }
    assert (1835, 2753 - 1835, 3670 - 2753) == (1835, 918, 917)


def test_own_splits_are_used_and_missing_ones_carved_from_train():
    assert split_slices({"train": 10, "validation": 3, "test": 4}, DEFAULT) == {
        "train": "train[0:10]",
        "validation": "validation",
        "test": "test",
    }
    assert split_slices({"train": 9, "test": 4}, DEFAULT) == {
        "train": "train[0:6]",
        "validation": "train[6:9]",
        "test": "test",
    }
    assert split_slices({"train": 9, "validation": 4, "unlabelled": 90}, (0.8, 0.1, 0.1)) == {
        "train": "train[0:8]",
        "validation": "validation",
        "test": "train[8:9]",
    }
    assert split_slices({"full": 4}, DEFAULT)["test"] == "full[3:4]"


@given(
    count=st.integers(0, 5000),
    parts=st.tuples(*[st.integers(1, 100)] * 3),
    own=st.sets(st.sampled_from(["validation", "test"])),
)
def test_slices_are_disjoint_cover_everything_and_keep_to_the_fractions(count, parts, own):
    fractions = [str(part / 1000) for part in parts[1:]]
    fractions = [1 - sum(map(Fraction, fractions)), *map(Fraction, fractions)]
    sizes = {"train": count, **dict.fromkeys(own, 7)}
    slices = split_slices(sizes, [float(fraction) for fraction in fractions])
    selected = [positions(slices[split], sizes) for split in SPLITS]
    everything = sorted(example for part in selected for example in part)
    assert everything == sorted((source, index) for source, size in sizes.items() for index in range(size))
    if not own:
        assert all(abs(len(part) - count * share) <= 1 for part, share in zip(selected, fractions, strict=True))


def test_hash_buckets_have_the_fractions():
    assert hash_buckets((0.7, 0.2, 0.1)) == {"train": 7000, "validation": 2000, "test": 1000}
    assert sum(hash_buckets((0.3333, 0.3333, 0.3334)).values()) == HASH_BUCKETS


@pytest.mark.parametrize(
    ("text", "fractions"),
    [
        ("80/10/10", (0.8, 0.1, 0.1)),
        ("0.8/0.1/0.1", (0.8, 0.1, 0.1)),
        ("33.3/33.3/33.4", (0.333, 0.333, 0.334)),
        (" 50 / 25 / 25 ", DEFAULT),
    ],
)
def test_shares_are_percent_or_fractions(text: str, fractions: tuple[float, ...]):
    assert parse_split_fractions(text) == fractions
    assert sum(check_split_fractions(fractions)) == 1
    assert parse_split_fractions(format_split_fractions(fractions)) == fractions


@pytest.mark.parametrize("text", ["80/20", "80/10/20", "100/0/0", "a/b/c", "", "80/10/10/0", "120/-10/-10", "8/1/1"])
def test_other_shares_are_refused(text: str):
    with pytest.raises(ValueError, match=f"'{re.escape(text)}' .* sum to 100, such as 80/10/10"):
        parse_split_fractions(text)


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5), (0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (1.5, -0.25, -0.25), (0.5, 0.25, "x")]
)
def test_bad_fractions_are_named(fractions):
    received = ", ".join(map(str, fractions))
    with pytest.raises(UserError, match=f"split fractions must be .* received {re.escape(received)}$"):
        split_slices({"train": 4}, fractions)


def test_several_splits_without_train_are_refused():
    with pytest.raises(UserError, match="no train split"):
        split_slices({"a": 4, "b": 5}, DEFAULT)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, "train") for name in ("train", "Training", "trn", "training_set", "seg_train", "train_images")),
        *((name, "validation") for name in ("val", "VALID", "Validation Set", "dev", "eval", "val2017", "valset")),
        *((name, "test") for name in ("test", "Testing", "tst", "test-set", "test1", "images_test")),
        *((name, None) for name in ("trains", "roses", "steam train", "set", "testament", "1", "", "train test")),
    ],
)
def test_names_of_splits(name: str, split: str | None):
    assert split_of_name(name) == split
