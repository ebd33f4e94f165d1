"""ImageValidator on real artifacts, Beam runners and ML Metadata."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from photo_files import ANIMATED_GIF, HTML, JPEG, TRUNCATED, encode, jpeg, png_header, scene
from PIL import Image, ImageDraw
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.common import importer
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import artifact_utils, standard_artifacts

from components import contracts
from components.common.errors import UserError
from components.contracts.artifact_types import Quarantine
from components.image_validator.component import ImageValidator
from components.image_validator.executor import Executor
from components.photos.formats import NATIVE_NAMES
from components.storage import examples_io

MANY_WORKERS = ["--direct_running_mode=multi_threading", "--direct_num_workers=2"]
CLASS_NAMES = ["daisy", "roses"]
Photos = list[tuple[str, int, bytes]]  # (id, label, file)

GOOD = [(f"good {number}", number % 2, jpeg(number)) for number in range(100, 112)]
NIGHT = ("night", 0, encode(scene(5).point(lambda level: level // 16), **JPEG))
RECODED = encode(scene(1), format="JPEG", quality=40)
SPLITS: dict[str, Photos] = {
    "train": [
        *GOOD,
        ("original", 0, jpeg(1)),
        ("same class", 0, jpeg(1)),
        ("conflict 0", 0, jpeg(2)),
        ("gray", 1, encode(scene(3).convert("L"), **JPEG)),
        ("cmyk", 1, encode(scene(4).convert("CMYK"), **JPEG)),
        NIGHT,
        ("page.jpg", 1, HTML),
    ],
    "validation": [
        ("only here", 0, jpeg(50)),
        *((f"only here {number}", 0, jpeg(number)) for number in range(60, 64)),
        ("near copy", 0, RECODED),
        ("conflict 1", 1, jpeg(2)),
        ("cut off", 0, TRUNCATED),
        ("in test too", 1, jpeg(6)),
    ],
    "test": [
        ("only there", 0, jpeg(51)),
        ("copy", 0, jpeg(1)),
        ("also here", 1, jpeg(6)),
        ("nothing", 1, b""),
        ("moving", 0, ANIMATED_GIF),
        ("bomb", 0, png_header(100_000, 90_000)),
    ],
}


def make_examples(folder: Path, splits: dict[str, Photos]) -> standard_artifacts.Examples:
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(list(splits))
    artifact.set_string_custom_property(contracts.DATASET_NAME_PROPERTY, "test photos")
    artifact.set_string_custom_property(contracts.CLASS_NAMES_PROPERTY, json.dumps(CLASS_NAMES))
    counts = {split: len(photos) for split, photos in splits.items()}
    artifact.set_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY, json.dumps(counts))
    for split, photos in splits.items():
        path = folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
        path.parent.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for photo_id, label, image in photos:
                features = {
                    contracts.IMAGE_KEY: tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                    contracts.LABEL_KEY: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                    contracts.ID_KEY: tf.train.Feature(bytes_list=tf.train.BytesList(value=[photo_id.encode()])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString(deterministic=True))
    return artifact


class Result:
    def __init__(self, folder: Path, splits: dict[str, Photos], beam_args: list[str] | None = None, **options: Any):
        self.examples, self.quarantine = standard_artifacts.Examples(), Quarantine()
        self.examples.uri, self.quarantine.uri = str(folder / "out"), str(folder / "quarantine")
        component = ImageValidator(examples=channel_of(), **{"max_quarantine_share": 1.0} | options)
        executor = Executor(BaseBeamExecutor.Context(beam_pipeline_args=beam_args or []))
        executor.Do(
            {"examples": [make_examples(folder / "in", splits)]},
            {"valid_examples": [self.examples], "quarantine": [self.quarantine]},
            dict(component.exec_properties),
        )
        self.summary = json.loads((folder / "quarantine" / "quarantine.json").read_text())
        lines = (folder / "quarantine" / "quarantine.jsonl").read_text().splitlines()
        self.listing = [json.loads(line) for line in lines]

    def ids(self, split: str) -> list[str]:
        files = tf.io.gfile.glob(f"{self.examples.uri}/Split-{split}/*.gz")
        records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
        examples = [tf.train.Example.FromString(record) for record in records]
        return sorted(example.features.feature["id"].bytes_list.value[0].decode() for example in examples)

    def files(self) -> dict[str, bytes]:
        root = Path(self.examples.uri).parent
        paths = [path for name in ("out", "quarantine") for path in (root / name).rglob("*") if path.is_file()]
        return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def channel_of() -> Any:
    return importer.Importer("in", artifact_type=standard_artifacts.Examples).outputs["result"]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return Result(tmp_path_factory.mktemp("one"), SPLITS)


def test_valid_photos_pass(result: Result) -> None:
    kept = ["cmyk", "gray", "night", "original", "same class", *(photo_id for photo_id, _, _ in GOOD)]

    assert result.ids("train") == sorted(kept)
    assert result.ids("validation") == ["only here", *(f"only here {number}" for number in range(60, 64))]
    assert result.ids("test") == ["also here", "only there"]


def test_listing_says_why(result: Result) -> None:
    assert [(entry["split"], entry["id"], entry["action"], entry["reason"]) for entry in result.listing] == [
        ("train", "conflict 0", "quarantined", "label_conflict"),
        ("train", "page.jpg", "quarantined", "not_an_image"),
        ("validation", "conflict 1", "quarantined", "label_conflict"),
        ("validation", "cut off", "quarantined", "truncated"),
        ("validation", "in test too", "dropped_from_evaluation", "cross_split_duplicate"),
        ("validation", "near copy", "dropped_from_evaluation", "cross_split_near_duplicate"),
        ("test", "bomb", "quarantined", "too_many_pixels"),
        ("test", "copy", "dropped_from_evaluation", "cross_split_duplicate"),
        ("test", "moving", "quarantined", "animated"),
        ("test", "nothing", "quarantined", "empty"),
    ]
    assert result.listing[1] == {
        "id": "page.jpg",
        "split": "train",
        "label": 1,
        "class_name": "roses",
        "action": "quarantined",
        "reason": "not_an_image",
        "detail": f"the file is an HTML page, not one of {', '.join(NATIVE_NAMES)}",
        "duplicate_of": None,
    }
    assert result.listing[0]["duplicate_of"] == {"split": "validation", "id": "conflict 1", "label": 1}


def test_summary_counts_everything(result: Result) -> None:
    assert result.summary == {
        "photos": {"train": 19, "validation": 9, "test": 6},
        "quarantined": {"animated": 1, "empty": 1, "label_conflict": 2, "not_an_image": 1}
        | {"too_many_pixels": 1, "truncated": 1},
        "dropped_from_evaluation": {"cross_split_duplicate": 2, "cross_split_near_duplicate": 1},
        "moved_to_train": {},
        "converted": {},
        "duplicates_kept": {"exact": 1, "near": 0},
        "split_counts": {"train": 17, "validation": 5, "test": 2},
        "class_counts": {
            "train": {"daisy": 9, "roses": 8},
            "validation": {"daisy": 5, "roses": 0},
            "test": {"daisy": 1, "roses": 1},
        },
        "formats": {"JPEG": 30, "GIF": 1, "PNG": 1},
        "color_modes": {"RGB": 28, "L": 1, "CMYK": 1, "P": 1},
        "first_ids": {
            "animated": "moving",
            "cross_split_duplicate": "in test too",
            "cross_split_near_duplicate": "near copy",
            "empty": "nothing",
            "label_conflict": "conflict 0",
            "not_an_image": "page.jpg",
            "too_many_pixels": "bomb",
            "truncated": "cut off",
        },
        **{key: {} for key in ("left_out", "left_out_suffixes", "reviewed", "reported", "reported_examples")},
        "odd_looking": {kind: {"number": 1, "examples": [["train", "night"]]} for kind in ("dark", "low_contrast")},
    }


def test_artifact_carries_the_data_set_with_new_counts(result: Result) -> None:
    properties = {
        name: result.examples.get_string_custom_property(name)
        for name in (contracts.DATASET_NAME_PROPERTY, contracts.CLASS_NAMES_PROPERTY)
    }

    assert properties == {"dataset_name": "test photos", "class_names": json.dumps(CLASS_NAMES)}
    assert examples_io.splits_of(result.examples) == list(SPLITS)
    for name in (contracts.SPLIT_COUNTS_PROPERTY, contracts.CLASS_COUNTS_PROPERTY):
        assert json.loads(result.examples.get_string_custom_property(name)) == result.summary[name]


@pytest.mark.slow
def test_many_workers_give_the_same_files(result: Result, tmp_path: Path) -> None:
    assert Result(tmp_path, SPLITS, MANY_WORKERS).files() == result.files()


@pytest.mark.slow
def test_another_order_of_the_photos_gives_the_same_decisions(result: Result, tmp_path: Path) -> None:
    reordered = Result(tmp_path, {split: photos[::-1] for split, photos in SPLITS.items()})

    assert (reordered.summary, reordered.listing) == (result.summary, result.listing)
    assert [reordered.ids(split) for split in SPLITS] == [result.ids(split) for split in SPLITS]


@pytest.mark.slow
def test_too_many_unusable_photos_stop_the_run(tmp_path: Path) -> None:
    splits = {"train": [*GOOD, ("b.jpg", 0, HTML), ("a.jpg", 1, HTML), ("c", 1, b"")]}

    with pytest.raises(UserError) as error:
        Result(tmp_path, splits, max_quarantine_share=0.1)

    assert str(error.value) == (
        "3 of 15 photos (20.0%) are unusable, more than the 10.0% that max_quarantine_share allows; "
        "most frequent: 2 not an image, such as 'a.jpg'; fix the photos or raise the limit"
    )


@pytest.mark.slow
def test_duplicates_do_not_count_towards_the_share(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    splits = {
        "train": [*GOOD, ("page", 0, HTML), NIGHT],
        "test": [("t", 0, jpeg(51)), *((f"copy {photo_id}", label, image) for photo_id, label, image in GOOD)],
    }
    with caplog.at_level(logging.INFO, "components"):
        Result(tmp_path, splits, max_quarantine_share=0.05)

    assert (
        "26 of 27 photos usable: 1 not an image; 12 cross-split duplicates dropped from evaluation" in caplog.messages
    )
    assert "Looks odd: 1 dark, 1 low contrast (not excluded; see the report)" in caplog.messages


def apple(color: tuple[int, int, int], seed: int) -> bytes:
    """An apple on the table: the same picture for every seed, but for the noise of the camera."""
    picture = scene(9)
    ImageDraw.Draw(picture).ellipse((50, 30, 110, 90), fill=color)
    pixels = np.asarray(picture).astype(int) + np.random.default_rng(seed).integers(-3, 4, (120, 160, 3))
    return encode(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), **JPEG)


@pytest.mark.slow
def test_classes_that_differ_by_colour_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a fixed camera, too: most of a split would look like its own class in train."""
    photos = [
        (f"{name} {number:02d}", label, apple(color, 100 * label + number))
        for label, (name, color) in enumerate({"green": (60, 190, 60), "red": (190, 110, 60)}.items())
        for number in range(20)
    ]
    splits = {"train": photos[:15] + photos[20:35], "test": photos[15:20] + photos[35:]}
    with caplog.at_level(logging.INFO, "components"):
        result = Result(tmp_path, splits, max_quarantine_share=0.05)

    assert [len(result.ids(split)) for split in splits] == [30, 10]
    reasons = {"near_duplicate_label_conflict": 30, "cross_split_near_duplicate": 10}
    assert result.summary["reported"] == reasons
    assert (result.summary["quarantined"], result.summary["dropped_from_evaluation"]) == ({}, {})
    assert result.summary["class_counts"] == {
        "train": {"daisy": 15, "roses": 15},
        "test": {"daisy": 5, "roses": 5},
    }
    assert {entry["action"] for entry in result.listing} == {"reported"}
    assert len(result.listing) == 40
    assert "40 of 40 photos usable" in caplog.messages
    in_splits, under_labels = (line for line in caplog.messages if line.startswith("Look-alikes"))
    assert in_splits == (
        "Look-alikes in two splits: 10 photos, such as 'green 15' and 'green 00' (kept, as they are more than 20% of a "
        "class in a split; metrics are too high if they are copies or one series: --group-by keeps a series in one "
        "split)"
    )
    assert re.fullmatch(
        r"Look-alikes under two labels: 30 photos, such as 'green 00' and 'red \d\d' \(kept; check the labels if they "
        r"are copies\)",
        under_labels,
    )


@pytest.mark.slow
def test_split_without_usable_photos_stops_the_run(tmp_path: Path) -> None:
    splits = {"train": GOOD, "test": [(f"copy {photo_id}", label, image) for photo_id, label, image in GOOD]}

    with pytest.raises(UserError, match="split test has no photo left of 12 after validation"):
        Result(tmp_path, splits)


@pytest.mark.slow
def test_split_that_was_empty_stays_empty(tmp_path: Path) -> None:
    result = Result(tmp_path, {"train": GOOD[:2], "test": []})

    assert result.ids("test") == []
    assert result.summary["split_counts"] == {"train": 2, "test": 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_quarantine_share": 1.5}, "max_quarantine_share is 1.5"),
        ({"near_duplicate_distance": 20}, "near_duplicate_distance is 20; use 0 to 10 bits"),
        ({"near_duplicate_distance": -1}, "near_duplicate_distance is -1"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ImageValidator(examples=channel_of(), **options)


@pytest.mark.slow
def test_run_in_a_pipeline_records_both_artifacts(tmp_path: Path) -> None:
    source = make_examples(tmp_path / "in", {"train": GOOD, "test": [("t", 0, jpeg(51))]})
    properties = {contracts.CLASS_NAMES_PROPERTY: source.get_string_custom_property(contracts.CLASS_NAMES_PROPERTY)}
    photos = importer.Importer(
        source.uri,
        standard_artifacts.Examples,
        properties={"split_names": source.split_names},
        custom_properties=properties,
    ).with_id("Photos")
    store = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
    validator = ImageValidator(photos.outputs["result"])

    LocalDagRunner().run(pipeline.Pipeline("p", str(tmp_path / "root"), store, components=[photos, validator]))

    with metadata.Metadata(store) as handler:
        [examples] = [a for a in handler.store.get_artifacts_by_type("Examples") if a.uri != source.uri]
        [quarantine] = handler.store.get_artifacts_by_type(Quarantine.TYPE_NAME)
    assert json.loads(examples.custom_properties["split_counts"].string_value) == {"train": 12, "test": 1}
    assert sorted(path.name for path in Path(quarantine.uri).iterdir()) == ["quarantine.json", "quarantine.jsonl"]
