"""What is known of a source before it is prepared, and what is kept of it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.common.errors import UserError
from components.example_gen.data_source import describe_source, find_feature_keys, make_builder
from components.example_gen.options import DataSource
from components.example_gen.tfds_dataset import prepare_dataset

TF_FLOWERS_CLASSES = ("dandelion", "daisy", "tulips", "sunflowers", "roses")


def test_tfds_datasets_are_described_without_a_download(tmp_path: Path):
    description = describe_source(DataSource(dataset="tf_flowers", data_dir=str(tmp_path)))
    assert (description.name, description.version, description.class_names, description.fingerprint) == (
        "tf_flowers",
        "3.0.1",
        TF_FLOWERS_CLASSES,
        "tf_flowers/3.0.1",
    )
    assert not list(tmp_path.rglob("*"))


def test_photos_are_described_by_their_content(tmp_path: Path, photo_folder: Path):
    source = DataSource(photos=str(photo_folder), data_dir=str(tmp_path))
    first = describe_source(source)
    assert (first.name, first.class_names) == ("my photos", ("blue", "green", "red"))
    assert first.fingerprint.startswith(first.version)
    (photo_folder / "red" / "red 00.jpg").unlink()
    assert describe_source(source).fingerprint != first.fingerprint


def test_unused_files_change_the_fingerprint_but_not_the_prepared_photos(tmp_path: Path, photo_folder: Path):
    source = DataSource(photos=str(photo_folder), data_dir=str(tmp_path))
    before = describe_source(source)
    (photo_folder / ".DS_Store").write_bytes(b"")
    assert describe_source(source).fingerprint == before.fingerprint
    (photo_folder / "red" / "1.psd").write_bytes(b"")
    after = describe_source(source)
    assert (after.fingerprint != before.fingerprint, after.version) == (True, before.version)
    assert after.remarks == ("2 files are not used: 1 .psd, 1 hidden",)


def test_synthetic_flowers_take_their_number(tmp_path: Path):
    few = DataSource(dataset="synthetic_flowers", data_dir=str(tmp_path), num_photos=20)
    by_name = DataSource(dataset="synthetic_flowers/n20_seed0", data_dir=str(tmp_path))
    assert describe_source(few) == describe_source(by_name)
    assert describe_source(few).class_names == TF_FLOWERS_CLASSES
    assert describe_source(few).fingerprint != describe_source(DataSource(dataset="synthetic_flowers")).fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tf_flower", "no dataset 'tf_flower'; close matches: tf_flowers"),
        ("synthetic_flower", "close matches: .*synthetic_flowers"),
        ("", "expected a dataset such as"),
        ("../flowers", "expected a dataset such as"),
        ("mnist:9.9.9", "cannot be loaded at version 9.9.9"),
        ("imdb_reviews", "not for image classification: .* found text, label"),
        ("synthetic_flowers/n0_seed0", "at least 1 photo"),
    ],
)
def test_names_that_are_no_usable_dataset_are_explained(tmp_path: Path, name: str, message: str):
    with pytest.raises(UserError, match=message) as error:
        describe_source(DataSource(dataset=name, data_dir=str(tmp_path)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tf_flowers", ("image", "label", None)),
        ("cifar100", ("image", "label", "id")),
        ("oxford_iiit_pet", ("image", "label", "file_name")),
        ("stanford_dogs", ("image", "label", "image/filename")),
    ],
)
def test_image_label_and_key_are_found(tmp_path: Path, name: str, expected: tuple[str, str, str | None]):
    keys = find_feature_keys(make_builder(DataSource(dataset=name, data_dir=str(tmp_path))))
    assert (keys.image, keys.label, keys.id) == expected


def test_an_interrupted_preparation_is_neither_used_nor_kept(tmp_path: Path):
    builder = make_builder(DataSource(dataset="synthetic_flowers", data_dir=str(tmp_path), num_photos=20))
    unfinished = Path(builder.data_dir).parent / "incomplete.ABCDEF_1.0.0"
    unfinished.mkdir(parents=True)
    Path(builder.data_dir).mkdir()
    assert prepare_dataset(builder).info.splits["train"].num_examples == 20
    assert not unfinished.exists()


@pytest.mark.slow
def test_runs_that_prepare_at_once_wait_for_each_other(tmp_path: Path):
    source = DataSource(dataset="synthetic_flowers", data_dir=str(tmp_path), num_photos=20)
    builders = [make_builder(source) for _ in range(4)]
    with ThreadPoolExecutor(4) as executor:
        readers = list(executor.map(prepare_dataset, builders))
    assert [reader.info.splits["train"].num_examples for reader in readers] == [20] * 4
