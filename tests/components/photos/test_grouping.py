"""Photos of one group are in one split."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.common.errors import UserError
from components.example_gen.component import TfdsExampleGen
from components.example_gen.data_source import describe_source, find_photos
from components.example_gen.options import DataSource
from components.photos.photo_set import PhotoFile
from components.photos.split_assignment import assign_groups, find_groups

SPLITS = ("train", "validation", "test")


def photo(path: str, class_name: str, **columns: str) -> PhotoFile:
    return PhotoFile(path, path, class_name, columns=columns)


def deal(group_sizes: Mapping[tuple[str, str], int], sizes: Mapping[str, int]) -> dict[str, list[PhotoFile]]:
    """Deals photos that are counted by group and class."""
    photos = [
        photo(f"{name}/{group}_{number}.jpg", name, group=group)
        for (group, name), size in group_sizes.items()
        for number in range(size)
    ]
    return assign_groups(photos, {item.path: item.columns["group"] for item in photos}, sizes)


def halves(total: int) -> dict[str, int]:
    return {"train": total - 2 * (total // 4), "validation": total // 4, "test": total // 4}


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine
@given(
    group_sizes=st.dictionaries(
        st.tuples(st.sampled_from([f"g{number}" for number in range(40)]), st.sampled_from("abc")),
        st.integers(1, 8),
        min_size=12,
    )
)
def test_a_group_is_in_one_split_and_no_photo_is_lost(group_sizes: dict[tuple[str, str], int]):
    groups_of = defaultdict(set)
    for group, name in group_sizes:
        groups_of[name].add(group)
    try:
        dealt = deal(group_sizes, halves(sum(group_sizes.values())))
    except UserError:
        assert max(map(len, groups_of.values())) < 3 or len({group for group, _ in group_sizes}) < 3
        return
    splits = defaultdict(set)
    for split, photos in dealt.items():
        for item in photos:
            splits[item.columns["group"]].add(split)
    assert all(len(found) == 1 for found in splits.values())
    assert sum(map(len, dealt.values())) == sum(group_sizes.values())
    assert all(dealt.values())


def test_sizes_and_classes_are_near_what_was_asked_for():
    rng = random.Random(7)
    group_sizes = {(f"plant{number}", "abcde"[number % 5]): rng.randint(2, 9) for number in range(400)}
    total = sum(group_sizes.values())
    dealt = deal(group_sizes, halves(total))
    class_sizes = Counter(name for (_, name), size in group_sizes.items() for _ in range(size))
    for split, share in zip(SPLITS, (0.5, 0.25, 0.25), strict=True):
        assert len(dealt[split]) == pytest.approx(total * share, abs=15)
        counts = Counter(item.class_name for item in dealt[split])
        assert all(counts[name] == pytest.approx(size * share, abs=9) for name, size in class_sizes.items())


def test_a_class_of_three_groups_is_in_every_split_however_large_they_are():
    group_sizes = {("g1", "a"): 50, ("g2", "a"): 1, ("g3", "a"): 1, ("g4", "b"): 9, ("g5", "b"): 9, ("g6", "b"): 9}
    dealt = deal(group_sizes, {"train": 63, "validation": 8, "test": 8})
    assert all({item.class_name for item in photos} == {"a", "b"} for photos in dealt.values())
    assert sum(item.class_name == "a" for item in dealt["train"]) == 50


def test_groups_are_dealt_in_the_same_way_whatever_comes_first():
    photos = [photo(f"{'ab'[number % 2]}/{number // 4}_{number}.jpg", "ab"[number % 2]) for number in range(200)]
    group_of = find_groups(photos, r"/(\d+)_", "set").group_of
    first = assign_groups(photos, group_of, halves(200))
    assert first == assign_groups(list(reversed(photos)), group_of, halves(200))


def test_a_regular_expression_names_the_group_by_what_is_in_brackets():
    photos = [photo(path, "a") for path in ("a/cam1_1.jpg", "a/cam1_2.jpg", "a/cam2_1.jpg", "a/other.jpg")]
    found = find_groups(photos, r"cam(\d)_", "set")
    assert found.group_of["a/cam1_1.jpg"] == found.group_of["a/cam1_2.jpg"]
    assert len(set(found.group_of.values())) == 3
    assert found.remark == (
        r"Photos of one group stay in one split (cam(\d)_): 2 groups; 1 photo is in no group; "
        "split sizes are approximate"
    )
    whole = find_groups(photos, r"cam\d|other", "set")
    assert sorted(set(whole.group_of.values())) == ["cam1", "cam2", "other"]
    assert find_groups(photos, r"(cam)(\d)|other", "set").group_of["a/cam2_1.jpg"] == "cam/2"


def test_a_column_of_the_manifest_names_the_group():
    photos = [photo("1.jpg", "a", plant="7"), photo("2.jpg", "a", plant="7"), photo("3.jpg", "b", plant="")]
    found = find_groups(photos, "plant", "labels.csv")
    assert found.group_of["1.jpg"] == found.group_of["2.jpg"] == "7"
    assert found.group_of["3.jpg"] not in ("", "7")


@pytest.mark.parametrize(
    ("group_by", "message"),
    [
        ("plnt", "'labels.csv' has no column 'plnt' to group by: found image, plant"),
        ("(plant", r"--group-by '\(plant' is not a regular expression: missing \), unterminated subpattern"),
        (r"^nothing(\d)", r"--group-by .* matches no path in 'labels\.csv', such as '1\.jpg'"),
    ],
)
def test_what_groups_nothing_is_explained(group_by: str, message: str):
    photos = [photo("1.jpg", "a", image="1.jpg", plant="7"), photo("2.jpg", "b", image="2.jpg", plant="7")]
    with pytest.raises(UserError, match=message) as error:
        find_groups(photos, group_by, "labels.csv")
    assert "\n" not in str(error.value)


def test_a_group_that_comes_in_two_splits_is_an_error():
    photos = [photo("train/a/7_1.jpg", "a"), PhotoFile("test/a/7_2.jpg", "x", "a", "test")]
    with pytest.raises(UserError, match=r"1 group is in several of the given splits, such as '7' in test and train"):
        find_groups(photos, r"(\d)_", "set")


def test_too_few_groups_for_three_splits_are_an_error():
    with pytest.raises(UserError, match="2 groups for 3 splits"):
        deal({("g1", "a"): 9, ("g2", "b"): 9}, halves(18))
    with pytest.raises(UserError, match=r"no group is left for (validation|test)"):
        deal({("g1", "a"): 9, ("g2", "b"): 9, ("g3", "c"): 9}, {"train": 25, "validation": 1, "test": 1})


def write(root: Path) -> Path:
    for number in range(60):
        path = root / "ab"[number // 3 % 2] / f"plant{number // 3}_{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(number).encode())
    return root


def test_groups_of_a_folder_end_up_in_one_split_of_the_prepared_photos(tmp_path: Path):
    source = DataSource(photos=str(write(tmp_path / "set")), data_dir=str(tmp_path / "data"), group_by=r"(plant\d+)_")
    assert describe_source(source).remarks == (
        r"Photos of one group stay in one split ((plant\d+)_): 20 groups; split sizes are approximate",
    )
    splits = defaultdict(set)
    for split, photos in find_photos(source).splits.items():
        for photo in photos:
            splits[photo.path.split("/")[1].split("_")[0]].add(split)
    assert len(splits) == 20
    assert all(len(found) == 1 for found in splits.values())


def test_groups_are_split_by_other_shares(tmp_path: Path):
    found = find_photos(
        DataSource(
            photos=str(write(tmp_path / "set")),
            data_dir=str(tmp_path),
            group_by=r"(plant\d+)_",
            split_fractions=(0.8, 0.1, 0.1),
        )
    )
    assert {split: len(photos) for split, photos in found.splits.items()} == {"train": 48, "validation": 6, "test": 6}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_by": "x"}, "--group-by needs your own photos: add --photos"),
        ({"group_by": "x", "photos": "p", "split_method": "hash"}, "--group-by needs --split-method count"),
    ],
)
def test_options_that_do_not_go_together_are_explained(options: dict[str, str], message: str):
    with pytest.raises(UserError, match=message):
        DataSource(**options)


def test_the_component_takes_it():
    assert TfdsExampleGen(DataSource(photos="p", group_by="plant")).exec_properties["group_by"] == "plant"
