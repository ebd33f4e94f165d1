"""TfdsExampleGen: the transform on its own, and the executor with real artifacts on Beam."""

import json
import os
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import artifact_utils, standard_artifacts

from components import contracts
from components.common.errors import UserError
from components.common.records import from_json
from components.contracts.quarantine import LEFT_OUT_FILE, QuarantineEntry
from components.example_gen.component import TfdsExampleGen
from components.example_gen.data_source import DataSource, describe_source, find_photos, make_builder
from components.example_gen.executor import Executor
from components.example_gen.photo_reading import ListPhotos, ReadPhotos
from components.example_gen.synthetic_flowers.photo import CLASS_COUNTS, draw_photo
from components.example_gen.tfds_dataset import TfdsToExamples, prepare_dataset
from components.storage.examples_io import WriteExamples
from pipeline.local_run.failures import user_error_message

Photos = dict[str, tuple[bytes, int]]


def parse(serialized: bytes) -> tuple[str, bytes, int]:
    feature = tf.train.Example.FromString(serialized).features.feature
    assert set(feature) == {contracts.IMAGE_KEY, contracts.LABEL_KEY, contracts.ID_KEY}
    (image,), (label,), (key,) = (
        feature[contracts.IMAGE_KEY].bytes_list.value,
        feature[contracts.LABEL_KEY].int64_list.value,
        feature[contracts.ID_KEY].bytes_list.value,
    )
    return key.decode(), image, label


def run(root: Path, **arguments: object) -> standard_artifacts.Examples:
    """Runs the component's executor; `root` receives the artifact and the prepared dataset."""
    component = TfdsExampleGen(data_dir=str(root / "data"), **arguments)
    examples = standard_artifacts.Examples()
    examples.uri = str(root / "examples")
    Executor().Do({}, {"examples": [examples]}, component.exec_properties)
    return examples


def read(examples: standard_artifacts.Examples) -> dict[str, Photos]:
    """Reads the photos of every split, and checks that no key is there twice."""
    splits = {}
    for split in artifact_utils.decode_split_names(examples.split_names):
        files = tf.io.gfile.glob(f"{artifact_utils.get_split_uri([examples], split)}/data_tfrecord-*.gz")
        assert files
        records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
        parsed = [parse(record) for record in records]
        splits[split] = {key: (image, label) for key, image, label in parsed}
        assert len(splits[split]) == len(parsed)
    return splits


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
    names = sorted(path.name for path in folder.iterdir())
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*.jpg")}
    return {key: (file.read_bytes(), names.index(file.parent.name)) for key, file in files.items()}


def test_a_slice_is_read_as_examples(tmp_path: Path, photo_folder: Path):
    source = DataSource("synthetic_flowers", data_dir=str(tmp_path), num_photos=12)
    builder = prepare_dataset(make_builder(source))
    with TestPipeline() as pipeline:
        parts = [
            pipeline | f"Read[{part}]" >> TfdsToExamples(builder, {}, part) for part in ("train[0:5]", "train[5:12]")
        ]
        parsed = parts | beam.Flatten() | beam.Map(lambda example: parse(example.SerializeToString()))
        expected = [draw_photo(0, index) for index in range(12)]
        labels = [(image, list(CLASS_COUNTS).index(species)) for species, image in expected]
        assert_that(parsed | beam.Map(lambda example: example[1:]), equal_to(labels))


def test_photos_are_read_by_workers_and_stored_nowhere_else(tmp_path: Path, photo_folder: Path):
    photos = find_photos(DataSource(photos=str(photo_folder), data_dir=str(tmp_path / "data"), split_method="hash"))
    with TestPipeline() as pipeline:
        listed = pipeline | ListPhotos(photos, "train") | beam.Map(lambda example: example.SerializeToString())
        parsed = listed | beam.BatchElements() | beam.FlatMap(ReadPhotos(convert=True, total=60)) | beam.Map(parse)
        expected = [(key, image, label) for key, (image, label) in stored(photo_folder).items()]
        assert_that(parsed, equal_to(expected))
    assert not (tmp_path / "data").exists()


def test_a_photo_that_cannot_be_read_is_one_line(tmp_path: Path, photo_folder: Path):
    photos = find_photos(DataSource(photos=str(photo_folder), data_dir=str(tmp_path)))
    gone = photo_folder / "red" / "red 00.jpg"
    gone.unlink()
    with pytest.raises(UserError) as error, beam.Pipeline() as pipeline:
        for split in contracts.SPLITS:
            listed = pipeline | split >> ListPhotos(photos, split)
            keyed = listed | f"Key {split}" >> beam.Map(lambda example: (b"", example.SerializeToString()))
            _ = keyed | f"Write {split}" >> WriteExamples(
                str(tmp_path / split), 1, finish=ReadPhotos(convert=True, total=60)
            )
    assert user_error_message(error.value) == f"cannot read the photo {str(gone)!r}: No such file or directory"


def test_undecodable_photos_and_odd_names_pass_through(tmp_path: Path):
    names = {"<b>&\"'": b"no jpeg", "new\nline": b"", " spaces ü ": b"\xff\xd8\xff truncated"}
    for name, content in names.items():
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / f"{name}.jpg").write_bytes(content)
    examples = run(tmp_path, photos=str(tmp_path / "set"))
    assert properties(examples)["class_names"] == sorted(names)
    received = {key: image for photos in read(examples).values() for key, (image, _) in photos.items()}
    assert received == {f"{name}/{name}.jpg": content for name, content in names.items()}


def test_photos_are_split_exactly_and_arrive_unchanged(tmp_path: Path, photo_folder: Path):
    description = describe_source(DataSource(photos=str(photo_folder), data_dir=str(tmp_path)))
    examples = run(tmp_path, photos=str(photo_folder), fingerprint=description.fingerprint)
    splits = read(examples)
    assert list(splits) == list(contracts.SPLITS)
    assert [len(photos) for photos in splits.values()] == [30, 15, 15]
    assert {key: photo for photos in splits.values() for key, photo in photos.items()} == stored(photo_folder)

    names = ["blue", "green", "red"]
    counts = {split: Counter(key.split("/")[0] for key in photos) for split, photos in splits.items()}
    assert counts["train"] == {"blue": 10, "green": 10, "red": 10}
    assert all(min(counts[split][name] for name in names) >= 4 for split in ("validation", "test"))
    assert properties(examples) == {
        "class_names": names,
        "split_counts": {"train": 30, "validation": 15, "test": 15},
        "class_counts": {split: {name: counts[split][name] for name in names} for split in splits},
    }
    assert examples.get_string_custom_property(contracts.DATASET_NAME_PROPERTY) == "my photos"
    assert examples.get_string_custom_property(contracts.DATASET_VERSION_PROPERTY) == description.version


def test_files_that_are_not_used_are_told_and_listed(
    tmp_path: Path, photo_folder: Path, caplog: pytest.LogCaptureFixture
):
    for name in ("top.txt", ".DS_Store", "red/1.psd", os.fsdecode(b"red/\xff.psd")):
        (photo_folder / name).write_bytes(b"")
    caplog.set_level("INFO")
    examples = run(tmp_path, photos=str(photo_folder))
    assert "4 files are not used: 2 .psd, 1 hidden, 1 outside class folders" in caplog.messages
    lines = (Path(examples.uri) / LEFT_OUT_FILE).read_text().splitlines()
    listing = [from_json(QuarantineEntry, json.loads(line)) for line in lines]
    assert {(entry.id, entry.reason.value, entry.action.value) for entry in listing} == {
        (".DS_Store", "hidden", "left_out"),
        ("red/1.psd", "unsupported_suffix", "left_out"),
        ("red/\\xff.psd", "unsupported_suffix", "left_out"),
        ("top.txt", "outside_class_folders", "left_out"),
    }
    assert listing[1].detail.startswith(".psd, not one of .jpg, ")


def test_the_licence_is_recorded_where_tfds_knows_it(tmp_path: Path):
    drawn = {"dataset": "synthetic_flowers", "num_photos": 12}
    assert not run(tmp_path, **drawn).has_custom_property(contracts.DATASET_LICENSE_PROPERTY)
    (info_file,) = tmp_path.rglob("dataset_info.json")
    info = json.loads(info_file.read_text())
    info_file.write_text(json.dumps(info | {"redistributionInfo": {"license": "CC-BY-4.0"}}))
    examples = run(tmp_path, **drawn)
    assert examples.get_string_custom_property(contracts.DATASET_LICENSE_PROPERTY) == "CC-BY-4.0"


def test_splits_are_the_same_every_time(tmp_path: Path, photo_folder: Path):
    first = run(tmp_path / "first", photos=str(photo_folder))
    second = run(tmp_path / "second", photos=str(photo_folder))
    assert read(first) == read(second)
    assert properties(first) == properties(second)


def test_hash_splits_stay_when_photos_are_added(tmp_path: Path, photo_folder: Path, encode_image):
    arguments = {"photos": str(photo_folder), "split_method": "hash"}
    before = read(run(tmp_path / "before", **arguments))
    for index in range(20):
        (photo_folder / "red" / f"new {index}.jpg").write_bytes(encode_image(seed=index))
    (photo_folder / "white").mkdir()
    (photo_folder / "white" / "1.jpg").write_bytes(encode_image())
    after_examples = run(tmp_path / "after", **arguments)
    after = read(after_examples)
    assert {key for photos in after.values() for key in photos} == set(stored(photo_folder))
    for split in contracts.SPLITS:
        assert before[split].items() <= after[split].items()
        assert len(before[split]) > 5
    assert properties(after_examples)["split_counts"] == {split: len(after[split]) for split in after}


def test_without_file_names_ids_follow_the_photos_content(tmp_path: Path):
    drawn = {"dataset": "synthetic_flowers", "split_method": "hash"}
    few, more, others = (
        read(run(tmp_path / name, **drawn, **arguments))
        for name, arguments in {
            "few": {"num_photos": 30},
            "more": {"num_photos": 40},
            "others": {"num_photos": 30, "seed": 1},
        }.items()
    )
    for split in contracts.SPLITS:
        assert few[split].items() <= more[split].items(), "added photos move none of the others"
        assert few[split].keys().isdisjoint(others[split])


def test_an_empty_split_is_written_and_counted_and_its_classes_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1.jpg").write_bytes(name.encode())
    examples = run(tmp_path, photos=str(tmp_path / "set"))
    assert [len(photos) for photos in read(examples).values()] == [1, 1, 0]
    assert properties(examples)["split_counts"] == {"train": 1, "validation": 1, "test": 0}
    assert properties(examples)["class_counts"]["test"] == {"a": 0, "b": 0}
    expected = "Not every class is in every split: 'a' is not in validation and test, 'b' is not in train and test"
    assert expected in caplog.messages


def test_synthetic_flowers_are_split_like_tf_flowers(tmp_path: Path):
    examples = run(tmp_path, dataset="synthetic_flowers", num_photos=12)
    splits = read(examples)
    assert [len(photos) for photos in splits.values()] == [6, 3, 3]
    assert len({key for photos in splits.values() for key in photos}) == 12
    assert all(image.startswith(b"\xff\xd8") for photos in splits.values() for image, _ in photos.values())
    assert examples.get_string_custom_property(contracts.DATASET_NAME_PROPERTY) == "synthetic_flowers"


def test_photos_that_changed_since_the_run_began_are_refused(tmp_path: Path, photo_folder: Path):
    fingerprint = describe_source(DataSource(photos=str(photo_folder), data_dir=str(tmp_path))).fingerprint
    (photo_folder / "red" / "red 00.jpg").unlink()
    with pytest.raises(UserError, match="have changed"):
        run(tmp_path, photos=str(photo_folder), fingerprint=fingerprint)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either a dataset or photos"),
        ({"dataset": "tf_flowers", "photos": "photos"}, "either a dataset or photos"),
        ({"dataset": "tf_flowers", "split_method": "random"}, "one of count, hash, received 'random'"),
        ({"dataset": "tf_flowers", "split_fractions": (0.5, 0.5)}, "split fractions must be"),
        ({"dataset": "synthetic_flowers", "num_photos": 0}, "at least 1, received 0"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str):
    with pytest.raises(UserError, match=message):
        TfdsExampleGen(**arguments)


def test_the_dataset_may_be_chosen_when_the_pipeline_runs():
    dataset = RuntimeParameter(name="dataset", ptype=str, default="tf_flowers")
    component = TfdsExampleGen(dataset=dataset)
    assert component.exec_properties["dataset"] is dataset
    assert component.outputs["examples"].type_name == standard_artifacts.Examples.TYPE_NAME
