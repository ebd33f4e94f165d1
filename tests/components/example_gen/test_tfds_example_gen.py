"""TfdsExampleGen: the transform on its own, and the executor with real artifacts on Beam."""

import dataclasses
import hashlib
import json
import logging
import logging.handlers
import os
import queue
import shutil
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from example_gen_runs import Photos, parse, read_examples, read_listing, run_example_gen
from photo_sets import write_names
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts

from components import contracts
from components.common.errors import UserError
from components.example_gen.component import TfdsExampleGen
from components.example_gen.data_source import SourceDescription, describe_source, find_photos, make_builder
from components.example_gen.options import DataSource
from components.example_gen.photo_reading import ListPhotos, ReadPhotos
from components.example_gen.synthetic_flowers.photo import CLASS_COUNTS, draw_photo
from components.example_gen.tfds_dataset import TfdsToExamples, prepare_dataset
from components.storage.examples_io import WriteExamples
from pipeline.local_run.failures import user_error_message


def properties(examples: standard_artifacts.Examples) -> dict[str, object]:
    return {
        name: json.loads(examples.get_string_custom_property(name))
        for name in (
            contracts.CLASS_NAMES_PROPERTY,
            contracts.SPLIT_COUNTS_PROPERTY,
            contracts.CLASS_COUNTS_PROPERTY,
        )
    }


def stored(folder: Path) -> Photos:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*.jpg")}
    return {key: (file.read_bytes(), names.index(file.parent.name)) for key, file in files.items()}


@pytest.fixture(scope="module")
def my_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of twenty files, which are passed on undecoded, and four files that are not used."""
    root = tmp_path_factory.mktemp("own") / "my photos"
    names = [f"{name}/{name} {index:02d}.jpg" for name in ("blue", "green", "red") for index in range(20)]
    write_names(root, *names, "top.txt", ".DS_Store", "red/1.psd", os.fsdecode(b"red/\xff.psd"))
    return root


@dataclasses.dataclass
class Run:
    description: SourceDescription
    examples: standard_artifacts.Examples
    messages: list[str]


@pytest.fixture(scope="module")
def own_run(tmp_path_factory: pytest.TempPathFactory, my_photos: Path) -> Run:
    """A run of the component on the photos above."""
    root = tmp_path_factory.mktemp("run")
    description = describe_source(DataSource(photos=str(my_photos), data_dir=str(root)))
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger, handler = logging.getLogger("components.example_gen"), logging.handlers.QueueHandler(records)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        examples = run_example_gen(root, photos=str(my_photos), fingerprint=description.fingerprint)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return Run(description, examples, [records.get().getMessage() for _ in range(records.qsize())])


@pytest.mark.slow
def test_a_slice_is_read_as_examples(tmp_path: Path):
    source = DataSource(dataset="synthetic_flowers", data_dir=str(tmp_path), num_photos=12)
    builder = prepare_dataset(make_builder(source))
    with TestPipeline() as pipeline:
        parts = [
            pipeline | f"Read[{part}]" >> TfdsToExamples(builder, {}, part) for part in ("train[0:5]", "train[5:12]")
        ]
        parsed = parts | beam.Flatten() | beam.Map(lambda example: parse(example.SerializeToString()))
        expected = [draw_photo(0, index) for index in range(12)]
        labels = [(image, list(CLASS_COUNTS).index(species)) for species, image in expected]
        assert_that(parsed | beam.Map(lambda example: example[1:]), equal_to(labels))


@pytest.mark.slow
def test_photos_are_read_by_workers_and_stored_nowhere_else(tmp_path: Path, my_photos: Path):
    photos = find_photos(DataSource(photos=str(my_photos), data_dir=str(tmp_path / "data"), split_method="hash"))
    with TestPipeline() as pipeline:
        listed = pipeline | ListPhotos(photos, "train") | beam.Map(lambda example: example.SerializeToString())
        parsed = listed | beam.BatchElements() | beam.FlatMap(ReadPhotos(total=60)) | beam.Map(parse)
        expected = [(key, image, label) for key, (image, label) in stored(my_photos).items()]
        assert_that(parsed, equal_to(expected))
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_photo_that_cannot_be_read_is_one_line(tmp_path: Path, photo_folder: Path):
    photos = find_photos(DataSource(photos=str(photo_folder), data_dir=str(tmp_path)))
    gone = photo_folder / "red" / "red 00.jpg"
    gone.unlink()
    with pytest.raises(UserError) as error, beam.Pipeline() as pipeline:
        for split in contracts.SPLITS:
            listed = pipeline | split >> ListPhotos(photos, split)
            keyed = listed | f"Key {split}" >> beam.Map(lambda example: (b"", example.SerializeToString()))
            _ = keyed | f"Write {split}" >> WriteExamples(str(tmp_path / split), 1, finish=ReadPhotos(total=60))
    assert user_error_message(error.value) == f"cannot read the photo {str(gone)!r}: No such file or directory"


def test_photos_are_split_exactly_and_arrive_unchanged(own_run: Run, my_photos: Path):
    splits = read_examples(own_run.examples)
    assert list(splits) == list(contracts.SPLITS)
    assert [len(photos) for photos in splits.values()] == [30, 15, 15]
    assert {key: photo for photos in splits.values() for key, photo in photos.items()} == stored(my_photos)

    names = ["blue", "green", "red"]
    counts = {split: Counter(key.split("/")[0] for key in photos) for split, photos in splits.items()}
    assert counts["train"] == {"blue": 10, "green": 10, "red": 10}
    assert all(min(counts[split][name] for name in names) >= 4 for split in ("validation", "test"))
    assert properties(own_run.examples) == {
        "class_names": names,
        "split_counts": {"train": 30, "validation": 15, "test": 15},
        "class_counts": {split: {name: counts[split][name] for name in names} for split in splits},
    }
    assert own_run.examples.get_string_custom_property(contracts.DATASET_NAME_PROPERTY) == "my photos"
    version = own_run.examples.get_string_custom_property(contracts.DATASET_VERSION_PROPERTY)
    assert version == own_run.description.version


def test_files_that_are_not_used_are_told_and_listed(own_run: Run):
    assert "4 files are not used: 2 .psd, 1 hidden, 1 outside class folders" in own_run.messages
    listing = read_listing(own_run.examples)
    assert {(entry.id, entry.reason.value, entry.action.value) for entry in listing} == {
        (".DS_Store", "hidden", "left_out"),
        ("red/1.psd", "unsupported_suffix", "left_out"),
        ("red/\\xff.psd", "unsupported_suffix", "left_out"),
        ("top.txt", "outside_class_folders", "left_out"),
    }
    assert listing[1].detail.startswith(".psd, not one of .jpg, ")


@pytest.mark.slow
def test_splits_are_the_same_every_time(tmp_path: Path, own_run: Run, my_photos: Path):
    again = run_example_gen(tmp_path, photos=str(my_photos))
    assert read_examples(again) == read_examples(own_run.examples)
    assert properties(again) == properties(own_run.examples)


@pytest.mark.slow
def test_odd_names_pass_through_and_classes_missing_from_a_split_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    names = {" spaces ü <b>&\"'": b"\xff\xd8\xff truncated", "new\nline": b""}
    for name, content in names.items():
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / f"{name}.jpg").write_bytes(content)
    first, second = names
    more = {f"{first}/{number}.jpg": bytes([number]) for number in (2, 3)}
    for path, content in more.items():
        (tmp_path / "set" / path).write_bytes(content)
    examples = run_example_gen(tmp_path, photos=str(tmp_path / "set"))
    splits = read_examples(examples)
    received = {key: image for photos in splits.values() for key, (image, _) in photos.items()}
    assert received == {f"{name}/{name}.jpg": content for name, content in names.items()} | more
    first = first.strip()
    assert properties(examples)["class_names"] == [second, first]
    assert properties(examples)["split_counts"] == {"train": 2, "validation": 1, "test": 1}
    assert properties(examples)["class_counts"]["test"] == {first: 1, second: 0}
    expected = f"{second!r} is not in validation and test"
    assert f"Not every class is in every split: {expected}" in caplog.messages


@pytest.mark.slow
def test_hash_splits_stay_when_photos_are_added(tmp_path: Path, photo_folder: Path, encode_image):
    arguments = {"photos": str(photo_folder), "split_method": "hash"}
    before = read_examples(run_example_gen(tmp_path / "before", **arguments))
    for index in range(20):
        (photo_folder / "red" / f"new {index}.jpg").write_bytes(encode_image(seed=index))
    (photo_folder / "white").mkdir()
    (photo_folder / "white" / "1.jpg").write_bytes(encode_image())
    after_examples = run_example_gen(tmp_path / "after", **arguments)
    after = read_examples(after_examples)
    assert {key for photos in after.values() for key in photos} == set(stored(photo_folder))
    for split in contracts.SPLITS:
        assert before[split].items() <= after[split].items()
        assert len(before[split]) > 5
    assert properties(after_examples)["split_counts"] == {split: len(after[split]) for split in after}


@pytest.mark.slow
def test_without_file_names_ids_follow_the_photos_content(tmp_path: Path):
    few, more = (
        read_examples(
            run_example_gen(tmp_path / str(count), dataset="synthetic_flowers", split_method="hash", num_photos=count)
        )
        for count in (30, 40)
    )
    for split in contracts.SPLITS:
        assert few[split].items() <= more[split].items(), "added photos move none of the others"
        assert all(key == hashlib.sha256(image).hexdigest() for key, (image, _) in more[split].items())


@pytest.mark.slow
def test_a_dataset_is_split_by_its_shares_and_its_licence_is_recorded(tmp_path: Path):
    drawn = {"dataset": "synthetic_flowers", "num_photos": 12}
    examples = run_example_gen(tmp_path, **drawn)
    splits = read_examples(examples)
    assert [len(photos) for photos in splits.values()] == [6, 3, 3], "as tf_flowers"
    assert len({key for photos in splits.values() for key in photos}) == 12
    assert all(image.startswith(b"\xff\xd8") for photos in splits.values() for image, _ in photos.values())
    assert examples.get_string_custom_property(contracts.DATASET_NAME_PROPERTY) == "synthetic_flowers"
    assert not examples.has_custom_property(contracts.DATASET_LICENSE_PROPERTY)

    (info_file,) = tmp_path.rglob("dataset_info.json")
    info = json.loads(info_file.read_text())
    info_file.write_text(json.dumps(info | {"redistributionInfo": {"license": "CC-BY-4.0"}}))
    shutil.rmtree(examples.uri)
    examples = run_example_gen(tmp_path, split_fractions=(0.8, 0.1, 0.1), **drawn)
    assert examples.get_string_custom_property(contracts.DATASET_LICENSE_PROPERTY) == "CC-BY-4.0"
    assert properties(examples)["split_counts"] == {"train": 10, "validation": 1, "test": 1}


def test_photos_that_changed_since_the_run_began_are_refused(tmp_path: Path, photo_folder: Path):
    fingerprint = describe_source(DataSource(photos=str(photo_folder), data_dir=str(tmp_path))).fingerprint
    (photo_folder / "red" / "red 00.jpg").unlink()
    with pytest.raises(UserError, match="have changed"):
        run_example_gen(tmp_path, photos=str(photo_folder), fingerprint=fingerprint)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either a dataset or photos"),
        ({"dataset": "tf_flowers", "photos": "photos"}, "either a dataset or photos"),
        ({"dataset": "tf_flowers", "split_method": "random"}, "split-method is random; it must be one of"),
        ({"dataset": "tf_flowers", "split_fractions": (0.5, 0.5)}, "split fractions must be"),
        ({"dataset": "synthetic_flowers", "num_photos": 0}, "num-photos is 0; it must be at least 1"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str):
    with pytest.raises(UserError, match=message):
        TfdsExampleGen(DataSource(**arguments))


def test_the_dataset_may_be_chosen_when_the_pipeline_runs():
    dataset = RuntimeParameter(name="dataset", ptype=str, default="tf_flowers")
    component = TfdsExampleGen(DataSource(dataset=dataset))
    assert component.exec_properties["dataset"] is dataset
    assert component.outputs["examples"].type_name == standard_artifacts.Examples.TYPE_NAME
