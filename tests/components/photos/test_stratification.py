"""Every class has its share of every split."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts import SPLITS
from components.photos.photo_set import PhotoFile
from components.photos.split_assignment import count_shares, stratify
from components.photos.splits import carved_ranges

DEFAULT = (0.5, 0.25, 0.25)


def sizes_of(total: int, fractions: tuple[float, ...] = DEFAULT) -> dict[str, int]:
    _, ranges = carved_ranges({"train": total}, fractions)
    return {split: end - start for split, (start, end) in ranges.items()}


def photos_of(class_sizes: dict[str, int]) -> list[PhotoFile]:
    names = [(name, f"{name}/{index}.jpg") for name, size in class_sizes.items() for index in range(size)]
    return [PhotoFile(path, path, name) for name, path in names]


def deal(class_sizes: dict[str, int], fractions: tuple[float, ...] = DEFAULT) -> dict[str, list[str]]:
    photos = photos_of(class_sizes)
    dealt = stratify(photos, sizes_of(len(photos), fractions))
    return {split: [photo.path for photo in found] for split, found in dealt.items()}


def test_classes_of_tf_flowers_are_halved_and_quartered():
    flowers = {"daisy": 633, "dandelion": 898, "roses": 641, "sunflowers": 699, "tulips": 799}
    splits = deal(flowers)
    assert {split: len(photos) for split, photos in splits.items()} == {"train": 1835, "validation": 918, "test": 917}
    for split, share in zip(SPLITS, DEFAULT, strict=True):
        counts = Counter(photo.split("/")[0] for photo in splits[split])
        assert all(abs(counts[name] - size * share) <= 2 for name, size in flowers.items())


@given(
    class_sizes=st.lists(st.integers(1, 40), min_size=2, max_size=12),
    fractions=st.sampled_from([DEFAULT, (0.8, 0.1, 0.1), (0.1, 0.45, 0.45), (0.98, 0.01, 0.01)]),
)
def test_every_class_with_three_photos_is_in_every_split(class_sizes: list[int], fractions: tuple[float, ...]):
    sizes = sizes_of(sum(class_sizes), fractions)
    named = {str(index): size for index, size in enumerate(class_sizes)}
    counts = count_shares(named, sizes)
    assert {name: sum(of_splits.values()) for name, of_splits in counts.items()} == named
    assert all(count >= 0 for of_splits in counts.values() for count in of_splits.values())
    large = [name for name, size in named.items() if size >= len(SPLITS)]
    assert all(all(counts[name].values()) for name in large)
    totals = {split: sum(of_splits[split] for of_splits in counts.values()) for split in sizes}
    if all(size >= len(large) for size in sizes.values()):
        assert totals == sizes
    assert counts == count_shares(named, sizes)


def test_small_classes_are_trained_on_first():
    splits = deal({"many": 40, "pair": 2, "single": 1})
    found = {
        name: {split for split in SPLITS if any(photo.startswith(name) for photo in splits[split])}
        for name in ("many", "pair", "single")
    }
    assert found == {"many": set(SPLITS), "pair": {"train", "test"}, "single": {"train"}}


def test_splits_too_small_for_every_class_grow():
    splits = deal(dict.fromkeys("abcde", 3))
    assert {split: len(photos) for split, photos in splits.items()} == {"train": 5, "validation": 5, "test": 5}


def test_paths_alone_decide():
    photos = photos_of({"a": 20, "b": 20})
    sizes = sizes_of(len(photos))
    first = stratify(photos, sizes)
    assert first == stratify(reversed(photos), sizes)
    assert sorted(photo.path for part in first.values() for photo in part) == sorted(photo.path for photo in photos)
    assert first["train"] != [photo for photo in photos if int(photo.path[2:-4]) < 10], "not the first by name"


@pytest.mark.parametrize("missing", ["validation", "test"])
def test_a_split_that_is_there_already_is_no_part_of_it(missing: str):
    splits = stratify(photos_of({"a": 6, "b": 6}), {"train": 8, missing: 4})
    assert Counter(photo.class_name for photo in splits[missing]) == {"a": 2, "b": 2}
