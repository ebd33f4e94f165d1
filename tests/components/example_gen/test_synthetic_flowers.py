"""Synthetic photos: deterministic, with tf_flowers' features, and not separable by their raw pixels."""

import collections
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from components.common.errors import UserError
from components.example_gen.data_source import describe_source, make_builder
from components.example_gen.options import DataSource
from components.example_gen.synthetic_flowers.photo import CLASS_COUNTS, draw_photo
from components.example_gen.synthetic_flowers.synthetic_flowers_dataset_builder import (
    SyntheticFlowers,
    SyntheticFlowersConfig,
    draw_photos,
)

NAMES = list(CLASS_COUNTS)
COUNT = 300


@pytest.fixture(scope="module")
def photos() -> list[tuple[str, bytes]]:
    return [draw_photo(0, index) for index in range(COUNT)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfds")
    for name in ("n20_seed5", "n40_seed5"):
        SyntheticFlowers(data_dir=folder, config=name).download_and_prepare()
    return folder


def _read(data_dir: Path, name: str) -> dict[bytes, int]:
    builder = tfds.builder(f"synthetic_flowers/{name}", data_dir=data_dir)
    dataset = builder.as_dataset(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    return {example["image"]: int(example["label"]) for example in dataset.as_numpy_iterator()}


@pytest.mark.slow
def test_several_processes_draw_the_same_photos_in_order(photos):
    assert list(draw_photos(0, 210)) == photos[:210]


def test_a_process_that_ends_early_is_an_error(monkeypatch, capfd):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(RuntimeError, match="ended early"):
        list(draw_photos(0, 210))


def test_seeds_and_indices_give_different_photos(photos):
    assert len({jpeg for _, jpeg in photos}) == COUNT
    assert draw_photo(1, 0)[1] != photos[0][1]


def test_photos_are_real_jpegs_of_varied_size_and_orientation(photos):
    images = [Image.open(io.BytesIO(jpeg)) for _, jpeg in photos]
    for image in images:
        image.load()
    assert {image.format for image in images} == {"JPEG"}
    modes = collections.Counter(image.mode for image in images)
    assert set(modes) == {"RGB", "L"}
    assert modes["L"] < 0.04 * COUNT
    sizes = {image.size for image in images}
    assert all(160 <= side <= 400 for size in sizes for side in size)
    assert len(sizes) > COUNT / 4
    assert {"portrait", "landscape"} <= {"portrait" if height > width else "landscape" for width, height in sizes}


def test_class_shares_are_those_of_tf_flowers(photos):
    drawn = collections.Counter(species for species, _ in photos)
    total = sum(CLASS_COUNTS.values())
    assert list(CLASS_COUNTS.values()) == [898, 633, 799, 699, 641]
    for species, count in CLASS_COUNTS.items():
        assert drawn[species] / COUNT == pytest.approx(count / total, abs=0.07)


def test_raw_pixels_do_not_separate_the_classes(photos):
    """Softmax regression on 32x32 pixels is well above chance and far from the classes it cannot see."""
    pixels = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB").resize((32, 32)), np.float64).ravel() / 255
            for _, jpeg in photos
        ]
    )
    labels = np.array([NAMES.index(species) for species, _ in photos])
    half = COUNT // 2
    pixels -= pixels[:half].mean(axis=0)
    weights = np.zeros((pixels.shape[1], len(NAMES)))
    for _ in range(300):
        logits = pixels[:half] @ weights
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = odds / odds.sum(axis=1, keepdims=True) - np.eye(len(NAMES))[labels[:half]]
        weights -= 0.01 * (pixels[:half].T @ error / half + 0.01 * weights)
    assert (np.argmax(pixels[:half] @ weights, axis=1) == labels[:half]).mean() > 0.6  # it did learn
    assert (np.argmax(pixels[half:] @ weights, axis=1) == labels[half:]).mean() < 0.6


def test_features_are_those_of_tf_flowers(tmp_path):
    ours = SyntheticFlowers(data_dir=tmp_path).info
    theirs = tfds.builder_cls("tf_flowers")(data_dir=tmp_path).info
    assert ours.features["label"].names == theirs.features["label"].names == NAMES
    assert ours.features.get_tensor_info() == theirs.features.get_tensor_info()
    assert ours.features.get_serialized_info() == theirs.features.get_serialized_info()
    assert ours.supervised_keys == theirs.supervised_keys


def test_builder_writes_the_drawn_bytes_and_labels(data_dir):
    drawn = {jpeg: NAMES.index(species) for species, jpeg in (draw_photo(5, index) for index in range(40))}
    assert _read(data_dir, "n40_seed5") == drawn


def test_a_smaller_set_is_the_beginning_of_a_larger_one(data_dir):
    small, large = _read(data_dir, "n20_seed5"), _read(data_dir, "n40_seed5")
    assert len(small) == 20
    assert small.items() <= large.items()


def test_builder_has_one_split_and_decodes(data_dir):
    builder = tfds.builder("synthetic_flowers/n20_seed5", data_dir=data_dir)
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 20}
    for image, label in builder.as_dataset(split="train", as_supervised=True).as_numpy_iterator():
        assert image.ndim == 3
        assert image.shape[-1] == 3
        assert 0 <= label < len(NAMES)


def test_number_and_seed_are_in_the_path(tmp_path):
    paths = [
        SyntheticFlowers(data_dir=tmp_path, config=SyntheticFlowersConfig(num_photos, seed)).data_path.parent.name
        for num_photos, seed in ((7, 0), (7, 1), (8, 0))
    ]
    assert [path.rpartition("_")[0] for path in paths] == ["n7_seed0", "n7_seed1", "n8_seed0"]
    assert SyntheticFlowers(data_dir=tmp_path).builder_config.name.startswith("n1600_seed0_")


def test_photos_are_drawn_again_after_an_edit_of_the_code(tmp_path, copied_tree):
    source = DataSource(dataset="synthetic_flowers", data_dir=str(tmp_path))
    before = make_builder(source).data_path, describe_source(source).fingerprint
    assert (make_builder(source).data_path, describe_source(source).fingerprint) == before
    drawing = copied_tree / "components/example_gen/synthetic_flowers/canvas.py"
    drawing.write_text(drawing.read_text() + "# edited\n")
    assert make_builder(source).data_path != before[0]
    assert describe_source(source).fingerprint != before[1]


def test_photo_by_photo_progress_is_reported(tmp_path, caplog):
    with caplog.at_level("INFO", logger="components.common.progress"):
        SyntheticFlowers(data_dir=tmp_path, config="n5_seed0").download_and_prepare()
    completed = [record.progress["completed"] for record in caplog.records if hasattr(record, "progress")]
    assert completed == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["400", "n400", "n0_seed0", "n4_seed-1"])
def test_bad_configuration_is_a_user_error(tmp_path, name):
    with pytest.raises(UserError, match="synthetic_flowers"):
        SyntheticFlowers(data_dir=tmp_path, config=name)
