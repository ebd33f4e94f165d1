"""Photos that come in the folders of their splits."""

import json
from pathlib import Path

import pytest
from example_gen_runs import run_example_gen
from photo_sets import class_counts_of, paths_of, reasons_of, write_names
from tfx.types import artifact_utils

from components import contracts
from components.common.errors import UserError
from components.example_gen.data_source import find_photos
from components.example_gen.options import DataSource
from components.photos.source import scan_photos


def photos(split: str, count: int, *class_names: str) -> list[str]:
    return [f"{split}/{name}/{index}.jpg" for name in class_names for index in range(count)]


def sizes(root: Path, tmp_path: Path) -> dict[str, int]:
    dealt = find_photos(DataSource(photos=str(root), data_dir=str(tmp_path / "data"))).splits
    return {split: len(found) for split, found in dealt.items()}


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
@pytest.mark.parametrize("top", ["", "my flowers/"])
def test_split_folders_are_recognised_and_kept(tmp_path: Path, validation: str, top: str):
    names = [*photos("train", 4, "a", "b"), *photos(validation, 1, "a", "b"), *photos("test", 2, "a", "b")]
    root = write_names(tmp_path / "set", *(top + name for name in names))
    photo_set = scan_photos(root, tmp_path / "cache")
    assert photo_set.class_names == ("a", "b")
    assert class_counts_of(photo_set) == {"a": 7, "b": 7}
    assert paths_of(photo_set) == tuple(sorted(names))
    shown = "validation/" if validation == "validation" else f"{validation}/ (validation)"
    assert photo_set.layout == f"Split folders are kept: train/, {shown}, test/"
    assert sizes(root, tmp_path) == {"train": 8, "validation": 2, "test": 4}


def test_split_folders_in_an_archive_are_recognised(tmp_path: Path, write_tgz):
    names = [*photos("train", 4, "a", "b"), *photos("test", 2, "a", "b")]
    archive = write_tgz(tmp_path / "set.tgz", {f"set/{name}": name.encode() for name in names})
    assert scan_photos(archive, tmp_path / "cache").layout == (
        "Split folders are kept: train/, test/; validation is cut from train"
    )


@pytest.mark.parametrize(
    ("folders", "layout", "expected"),
    [
        (
            {"train": 6, "test": 1},
            "train/, test/; validation is cut from train",
            {"train": 8, "validation": 4, "test": 2},
        ),
        (
            {"train": 6, "valid": 1},
            "train/, valid/ (validation); test is cut from train",
            {"train": 8, "validation": 2, "test": 4},
        ),
        (
            {"train": 6, "val": 0},
            "train/; validation and test are cut from train",
            {"train": 6, "validation": 3, "test": 3},
        ),
    ],
)
def test_a_missing_split_is_cut_from_train(tmp_path: Path, folders, layout: str, expected):
    root = write_names(
        tmp_path / "set", *(name for split, count in folders.items() for name in photos(split, count, *"ab"))
    )
    for folder in folders:
        (root / folder).mkdir(exist_ok=True)
    assert scan_photos(root, tmp_path / "cache").layout == f"Split folders are kept: {layout}"
    assert sizes(root, tmp_path) == expected


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [
        ("Training", "Testing", "test"),
        ("train", "eval", "validation"),
        ("training", "validation", "validation"),
        ("training_set", "test_set", "test"),
        ("train_images", "dev", "validation"),
        ("seg_train/seg_train", "seg_test/seg_test", "test"),
        ("train/train", "test/test", "test"),
        ("top/train_images/train", "top/val2017", "validation"),
    ],
)
def test_other_names_and_doubled_folders_of_splits_are_kept(tmp_path: Path, train: str, other: str, split: str):
    root = write_names(tmp_path / "set", *photos(train, 2, "a", "b"), *photos(other, 1, "a", "b"))
    found = scan_photos(root, tmp_path / "cache")
    assert {(file.class_name, file.split) for file in found.files} == {(c, s) for c in "ab" for s in ("train", split)}
    assert not found.remarks
    assert all(f"{folder.removeprefix('top/')}/" in found.layout for folder in (train, other))


SPLIT_NAMES_AS_CLASSES = "folders that may be splits or classes, {}: add --layout classes if .*, or --layout splits"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/1.jpg", "test/1.jpg", "bus/1.jpg"], SPLIT_NAMES_AS_CLASSES.format("bus, test, train")),
        (["train/a/1.jpg", "train/2.jpg", "test/a/1.jpg"], SPLIT_NAMES_AS_CLASSES.format("test, train")),
        (["train/steam/1.jpg", "train/diesel/1.jpg", "bus/1.jpg"], SPLIT_NAMES_AS_CLASSES.format("bus, train")),
        ([*photos("train", 1, *"ab"), *photos("holdout", 1, *"ab")], SPLIT_NAMES_AS_CLASSES.format("holdout, train")),
        ([*photos("val", 1, *"ab"), *photos("test", 1, *"ab"), "c/1.jpg"], "splits or classes, c, test, val"),
        ([*photos("one", 1, *"abc"), *photos("two", 1, *"abd")], "the same sub-folders, a, b, in one, two: .*--layout"),
        ([*photos("a", 1, "train", "test"), *photos("b", 1, "train", "test")], "below other folders, a/test, a/train"),
        ([*photos("data/train", 1, *"ab"), *photos("data/test", 1, *"ab"), "x/1.jpg"], "data/test, data/train: give"),
        (["train/rose.0.jpg", "train/daisy.0.jpg", "test1/90.jpg"], "no class folders, .* in test1/, train/; .*table"),
        (["train/train/rose.0.jpg", "test1/test1/90.jpg"], "no class folders, .* in test1/test1/, train/train/"),
        (["train/rose.0.jpg", "train/daisy.0.jpg"], "no class folders, .* in train/; .*the header path,label$"),
        (["train/1.jpg", "test/2.jpg", "train.csv", "sample.csv"], "train.csv may .*: give --photos .*/set/train.csv"),
        (["images/1.jpg", "labels.csv"], "directly in images/; labels.csv may have their labels: give --photos"),
        (["a/1.jpg", "train/2.jpg", "val/_classes.csv", "train/_classes.csv", "val/1.jpg"], "splits or classes, a, "),
        (["train/1.jpg", "valid/1.jpg", "train/_classes.csv"], "give --photos .*/train/_classes.csv"),
        (["train/1.jpg", "train/_annotations.csv"], "train/_annotations.csv is not read: "),
        (["train/1.jpg", "valid/1.jpg", "train/_annotations.coco.json"], "train/_annotations.coco.json is not read: "),
        (["train/images/1.jpg", "valid/images/1.jpg", "train/labels/1.txt", "data.yaml"], "data.yaml is not read: "),
    ],
)
def test_folders_that_may_be_splits_are_never_classes_in_silence(tmp_path: Path, names: list[str], message: str):
    root = write_names(tmp_path / "set", *names)
    with pytest.raises(UserError, match=message) as error:
        scan_photos(root, tmp_path)
    assert "\n" not in str(error.value)


def test_tables_in_split_folders_have_the_labels(tmp_path: Path):
    root = write_names(tmp_path / "set", "top/train/1.jpg", "top/train/2.jpg", "top/train/3.jpg", "top/valid/1.jpg")
    (root / "top/train/_classes.csv").write_text("filename, daisy, roses\n1.jpg,1,0\n2.jpg,0,1\n")
    (root / "top/valid/_classes.csv").write_text("filename, daisy, roses\n1.jpg,1,0\n")
    found = scan_photos(root, tmp_path / "cache")
    assert [(file.path, file.class_name, file.split) for file in found.files] == [
        ("top/train/1.jpg", "daisy", "train"),
        ("top/train/2.jpg", "roses", "train"),
        ("top/valid/1.jpg", "daisy", "validation"),
    ]
    assert reasons_of(found) == {"top/train/3.jpg": "no_label"}
    assert found.layout == (
        "Labels are from top/train/_classes.csv, top/valid/_classes.csv; splits are kept; test is cut from train"
    )
    (root / "top/train/_classes.csv").unlink()
    with pytest.raises(UserError, match=r"valid/_classes\.csv may have their labels"):
        scan_photos(root, tmp_path / "cache")


def test_labels_beside_photos_in_an_archive_are_named(tmp_path: Path, write_tgz):
    names = ("train/1.jpg", "train/_classes.csv", "valid/1.jpg")
    archive = write_tgz(tmp_path / "set.tgz", dict.fromkeys(names, b""))
    with pytest.raises(UserError, match=r"unpack the archive and give --photos train/_classes\.csv"):
        scan_photos(archive, tmp_path / "cache")
    classes = scan_photos(write_tgz(tmp_path / "set.tgz", dict.fromkeys(names, b"")), tmp_path / "cache", "classes")
    assert classes.class_names == ("train", "valid")


@pytest.mark.parametrize(
    ("names", "classes", "splits"),
    [
        (["train/1.jpg", "bus/1.jpg", "test/1.jpg"], "bus test train", None),
        ([*photos("train", 1, *"ab"), *photos("test", 1, *"ab")], "test train", "a b"),
        ([*photos("train", 1, "steam", "diesel"), "bus/1.jpg"], "bus train", "diesel steam"),
        ([*photos("train", 1, *"ab"), "train/cover.jpg", *photos("test", 1, *"ab")], "test train", "a b"),
        ([*photos("roses", 1, "red", "pink"), *photos("tulips", 1, "red", "pink")], "roses tulips", None),
        (photos("train", 1, "bus", "car"), "bus car", "bus car"),
        ([*photos("val", 1, *"ab"), *photos("test", 1, *"ab")], "test val", None),
    ],
)
def test_the_layout_can_be_given(tmp_path: Path, names: list[str], classes: str, splits: str | None):
    root = write_names(tmp_path / "set", *names)
    assert " ".join(scan_photos(root, tmp_path, "classes").class_names) == classes
    if splits:
        assert " ".join(scan_photos(root, tmp_path, "splits").class_names) == splits
    else:
        with pytest.raises(UserError, match="has no train/CLASS/PHOTO, as --layout splits expects: found "):
            scan_photos(root, tmp_path, "splits")


def test_the_layout_is_for_folders(tmp_path: Path):
    (tmp_path / "labels.csv").write_text("path,label\n")
    with pytest.raises(UserError, match="--layout splits is for folders"):
        find_photos(DataSource(photos=str(tmp_path / "labels.csv"), data_dir=str(tmp_path), layout="splits"))
    with pytest.raises(UserError, match="--layout splits needs your own photos"):
        DataSource(dataset="tf_flowers", layout="splits")


@pytest.mark.parametrize(
    "names",
    [
        ["train/1.jpg", "bus/1.jpg"],  # means of transport
        ["train/steam/1.jpg", "bus/1.jpg"],
        ["training/a/1.jpg", "b/1.jpg"],
    ],
)
def test_a_class_that_is_called_like_a_split_stays_a_class(tmp_path: Path, names: list[str]):
    photo_set = scan_photos(write_names(tmp_path / "set", *names), tmp_path)
    assert photo_set.class_names == tuple(sorted({name.split("/")[0] for name in names}))
    assert photo_set.layout == ""


def test_what_is_outside_the_class_folders_of_the_splits_is_left_out(tmp_path: Path):
    used = [*photos("train", 2, "a", "b"), *photos("val", 1, "a", "b")]
    root = write_names(tmp_path / "set", *used, "test/1.jpg", "test/2.jpg", "others/c/1.jpg")
    photo_set = scan_photos(root, tmp_path)
    assert photo_set.remarks == ("Not used: 1 photo in others/, 2 photos in test/ (without labels: no class folders)",)
    assert paths_of(photo_set) == tuple(sorted(used))
    assert photo_set.class_names == ("a", "b")
    assert reasons_of(photo_set) == dict.fromkeys(
        ("test/1.jpg", "test/2.jpg", "others/c/1.jpg"), "outside_class_folders"
    )


@pytest.mark.parametrize(
    ("folders", "expected", "remark"),
    [
        ({"train": 10}, {"train": 16, "validation": 2, "test": 2}, ""),
        ({"train": 9, "test": 1}, {"train": 16, "validation": 2, "test": 2}, ""),
        (
            {"train": 6, "val": 1, "test": 1},
            {"train": 12, "validation": 2, "test": 2},
            "--split 80/10/10 has no effect",
        ),
    ],
)
def test_other_shares_cut_the_missing_splits_and_have_no_effect_on_others(
    tmp_path: Path, folders: dict[str, int], expected: dict[str, int], remark: str
):
    names = [name for split, count in folders.items() for name in photos(split, count, "a", "b")]
    names = names if len(folders) > 1 else [name.removeprefix("train/") for name in names]
    write_names(tmp_path / "set", *names)
    source = DataSource(photos=str(tmp_path / "set"), data_dir=str(tmp_path / "data"), split_fractions=(0.8, 0.1, 0.1))
    found = find_photos(source)
    assert {split: len(files) for split, files in found.splits.items()} == expected
    assert any(remark in line for line in found.remarks) == bool(remark)


def test_splits_without_train_are_explained(tmp_path: Path):
    root = write_names(tmp_path / "set", *photos("val", 2, "a", "b"), *photos("test", 2, "a", "b"))
    with pytest.raises(UserError, match="/set' has the split folders test/, val/ but no train"):
        scan_photos(root, tmp_path)


@pytest.mark.slow
def test_examples_have_the_splits_and_classes_of_the_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    write_names(tmp_path / "set", *photos("train", 4, "a", "b"), *photos("val", 1, "b", "c"))
    caplog.set_level("INFO")
    examples = run_example_gen(tmp_path, photos=str(tmp_path / "set"))
    assert artifact_utils.decode_split_names(examples.split_names) == list(contracts.SPLITS)
    counts = json.loads(examples.get_string_custom_property(contracts.CLASS_COUNTS_PROPERTY))
    assert counts["validation"] == {"a": 0, "b": 1, "c": 1}
    assert [sum(counts[split].values()) for split in contracts.SPLITS] == [5, 2, 3]
    assert "Split folders are kept: train/, val/ (validation); test is cut from train" in caplog.text


def test_split_folders_and_hash_splits_exclude_each_other(tmp_path: Path):
    write_names(tmp_path / "set", *photos("train", 2, "a", "b"), *photos("test", 1, "a", "b"))
    with pytest.raises(UserError, match="use split method count"):
        run_example_gen(tmp_path, photos=str(tmp_path / "set"), split_method="hash")
