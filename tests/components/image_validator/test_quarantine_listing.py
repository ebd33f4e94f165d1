"""What TfdsExampleGen did not read is in ImageValidator's listing."""

import json
from pathlib import Path

from tfx.dsl.components.common import importer
from tfx.types import standard_artifacts

from components.example_gen import component as example_gen
from components.example_gen import executor as example_gen_executor
from components.image_validator import component as image_validator
from components.image_validator import executor as image_validator_executor
from components.image_validator.artifacts import Quarantine


def test_files_that_became_no_examples_are_listed_after_the_photos(tmp_path: Path, photo_folder: Path) -> None:
    for name in ("LICENSE", "red/1.TIFF", "red/2.tiff", "red/empty.jpg"):
        (photo_folder / name).write_bytes(b"")
    examples, valid, quarantine = standard_artifacts.Examples(), standard_artifacts.Examples(), Quarantine()
    examples.uri, valid.uri, quarantine.uri = (str(tmp_path / name) for name in ("examples", "valid", "quarantine"))
    source = example_gen.TfdsExampleGen(photos=str(photo_folder), data_dir=str(tmp_path / "data"))
    example_gen_executor.Executor().Do({}, {"examples": [examples]}, source.exec_properties)
    channel = importer.Importer("in", artifact_type=standard_artifacts.Examples).outputs["result"]
    image_validator_executor.Executor().Do(
        {"examples": [examples]},
        {"valid_examples": [valid], "quarantine": [quarantine]},
        dict(image_validator.ImageValidator(examples=channel).exec_properties),
    )

    summary = json.loads((tmp_path / "quarantine" / "quarantine.json").read_text())
    listing = [json.loads(line) for line in (tmp_path / "quarantine" / "quarantine.jsonl").read_text().splitlines()]
    assert [(entry["id"], entry["action"]) for entry in listing] == [
        ("red/empty.jpg", "quarantined"),
        ("LICENSE", "left_out"),
        ("red/1.TIFF", "left_out"),
        ("red/2.tiff", "left_out"),
    ]
    assert summary["quarantined"] == {"empty": 1}
    assert summary["left_out"] == {"outside_class_folders": 1, "unsupported_suffix": 2}
    assert summary["left_out_suffixes"] == {".tiff": 2}
