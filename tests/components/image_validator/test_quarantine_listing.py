"""What TfdsExampleGen did not read is in ImageValidator's listing; what it converted is counted there."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from PIL import Image
from tfx.dsl.components.common import importer
from tfx.types import standard_artifacts

from components.contracts.artifact_types import Quarantine
from components.example_gen import component as example_gen
from components.example_gen import executor as example_gen_executor
from components.image_validator import component as image_validator
from components.image_validator import executor as image_validator_executor
from components.photos.convert import source_of


def run(
    folder: Path, photos: Path, max_quarantine_share: float = 0.05, **options: Any
) -> tuple[dict[str, Any], list[Any]]:
    """Runs both; returns ImageValidator's summary and listing."""
    examples, valid, quarantine = standard_artifacts.Examples(), standard_artifacts.Examples(), Quarantine()
    examples.uri, valid.uri, quarantine.uri = (str(folder / name) for name in ("examples", "valid", "quarantine"))
    source = example_gen.TfdsExampleGen(photos=str(photos), data_dir=str(folder / "data"), **options)
    example_gen_executor.Executor().Do({}, {"examples": [examples]}, source.exec_properties)
    channel = importer.Importer("in", artifact_type=standard_artifacts.Examples).outputs["result"]
    image_validator_executor.Executor().Do(
        {"examples": [examples]},
        {"valid_examples": [valid], "quarantine": [quarantine]},
        dict(
            image_validator.ImageValidator(examples=channel, max_quarantine_share=max_quarantine_share).exec_properties
        ),
    )
    summary = json.loads((folder / "quarantine" / "quarantine.json").read_text())
    lines = (folder / "quarantine" / "quarantine.jsonl").read_text().splitlines()
    return summary, [json.loads(line) for line in lines]


def identities(files: list[Path]) -> dict[int, int]:
    """Returns {inode: bytes}: two names of one file count once."""
    return {status.st_ino: status.st_size for status in map(Path.stat, files)}


def test_files_that_became_no_examples_are_listed_after_the_photos(tmp_path: Path, photo_folder: Path) -> None:
    for name in ("LICENSE", "red/1.PSD", "red/2.psd", "red/empty.jpg"):
        (photo_folder / name).write_bytes(b"")
    summary, listing = run(tmp_path, photo_folder)
    assert [(entry["id"], entry["action"]) for entry in listing] == [
        ("red/empty.jpg", "quarantined"),
        ("LICENSE", "left_out"),
        ("red/1.PSD", "left_out"),
        ("red/2.psd", "left_out"),
    ]
    assert summary["quarantined"] == {"empty": 1}
    assert summary["left_out"] == {"outside_class_folders": 1, "unsupported_suffix": 2}
    assert summary["left_out_suffixes"] == {".psd": 2}
    files = list(tmp_path.rglob("*.gz"))
    assert (len(files), len(identities(files))) == (10, 6), "only the file with the empty photo is written again"


def test_photos_are_stored_once_on_their_way_through_both(tmp_path: Path, photo_folder: Path) -> None:
    size = sum(photo.stat().st_size for photo in photo_folder.rglob("*.jpg"))

    run(tmp_path / "output", photo_folder)

    files = list((tmp_path / "output").rglob("*.gz"))
    assert len(files) == 10
    assert size < sum(identities(files).values()) < 1.5 * size
    assert not (tmp_path / "output" / "data").exists()


def mix_formats(folder: Path) -> None:
    """Makes HEIC of four red photos and TIFF of three, and damages one of these."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    for number, path in enumerate(sorted((folder / "red").glob("*.jpg"))[:7]):
        with Image.open(path) as photo:
            photo.save(path.with_suffix(".heic" if number < 4 else ".tif"))
        path.unlink()
    damaged = folder / "red" / "red 06.tif"
    damaged.write_bytes(damaged.read_bytes()[:2000])


def stored(folder: Path) -> list[bytes]:
    files = [str(file) for file in (folder / "valid").rglob("data_tfrecord-*")]
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
    return [tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0] for record in records]


def test_photos_in_other_formats_are_converted_and_counted(
    tmp_path: Path, photo_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mix_formats(photo_folder)
    caplog.set_level("INFO")
    summary, listing = run(tmp_path, photo_folder)
    assert summary["converted"] == {"HEIC": 4, "TIFF": 2}
    assert summary["formats"] == {"JPEG": 59}
    assert [(entry["id"], entry["reason"]) for entry in listing] == [("red/red 06.tif", "truncated")]
    assert "59 of 60 photos usable: 1 truncated; 6 converted to JPEG (4 HEIC, 2 TIFF)" in caplog.text
    photos = stored(tmp_path)
    assert sum(source_of(photo) is not None for photo in photos) == 6
    assert all(Image.open(io.BytesIO(photo)).format == "JPEG" for photo in photos)


def test_without_conversion_they_are_quarantined(tmp_path: Path, photo_folder: Path) -> None:
    mix_formats(photo_folder)
    summary, listing = run(tmp_path, photo_folder, max_quarantine_share=0.2, convert=False)
    assert (summary["converted"], len(stored(tmp_path))) == ({}, 53)
    assert summary["quarantined"] == {"truncated": 1, "unsupported_format": 6}
    assert {entry["id"] for entry in listing} == {f"red/red 0{n}.{'heic' if n < 4 else 'tif'}" for n in range(7)}
