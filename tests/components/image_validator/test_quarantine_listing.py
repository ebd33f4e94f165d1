"""What TfdsExampleGen did not read is in ImageValidator's listing; what it converted is counted there."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from example_gen_runs import run_example_gen
from PIL import Image
from tfx.dsl.components.common import importer
from tfx.types import standard_artifacts

from components.contracts.artifact_types import Quarantine
from components.image_validator.component import ImageValidator
from components.image_validator.executor import Executor
from components.photos.convert import source_of


def run(folder: Path, photos: Path) -> tuple[dict[str, Any], list[Any]]:
    """Runs both; returns ImageValidator's summary and listing."""
    examples = run_example_gen(folder, photos=str(photos))
    valid, quarantine = standard_artifacts.Examples(), Quarantine()
    valid.uri, quarantine.uri = str(folder / "valid"), str(folder / "quarantine")
    channel = importer.Importer("in", artifact_type=standard_artifacts.Examples).outputs["result"]
    Executor().Do(
        {"examples": [examples]},
        {"valid_examples": [valid], "quarantine": [quarantine]},
        dict(ImageValidator(examples=channel).exec_properties),
    )
    summary = json.loads((folder / "quarantine" / "quarantine.json").read_text())
    lines = (folder / "quarantine" / "quarantine.jsonl").read_text().splitlines()
    return summary, [json.loads(line) for line in lines]


def identities(files: list[Path]) -> dict[int, int]:
    """Returns {inode: bytes}: two names of one file count once."""
    return {status.st_ino: status.st_size for status in map(Path.stat, files)}


@pytest.mark.slow
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


@pytest.mark.slow
def test_photos_in_other_formats_are_converted_and_other_files_listed(
    tmp_path: Path, photo_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mix_formats(photo_folder)
    for name in ("LICENSE", "red/1.PSD", "red/2.psd"):
        (photo_folder / name).write_bytes(b"")
    caplog.set_level("INFO")
    summary, listing = run(tmp_path, photo_folder)
    assert summary["converted"] == {"HEIC": 4, "TIFF": 2}
    assert summary["formats"] == {"JPEG": 59}
    assert summary["quarantined"] == {"truncated": 1}
    assert summary["left_out"] == {"outside_class_folders": 1, "unsupported_suffix": 2}
    assert summary["left_out_suffixes"] == {".psd": 2}
    assert [(entry["id"], entry["action"]) for entry in listing] == [
        ("red/red 06.tif", "quarantined"),
        ("LICENSE", "left_out"),
        ("red/1.PSD", "left_out"),
        ("red/2.psd", "left_out"),
    ]
    assert "59 of 60 photos usable: 1 truncated; 6 converted to JPEG (4 HEIC, 2 TIFF)" in caplog.text
    files = list(tmp_path.rglob("*.gz"))
    assert (len(files), len(identities(files))) == (10, 6), "only the file with the damaged photo is written again"
    photos = stored(tmp_path)
    assert sum(source_of(photo) is not None for photo in photos) == 6
    assert all(Image.open(io.BytesIO(photo)).format == "JPEG" for photo in photos)
