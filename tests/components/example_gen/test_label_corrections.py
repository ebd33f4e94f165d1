"""Corrections of a reviewer: read from files, applied by TfdsExampleGen, and listed."""

import json
import logging
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components import contracts
from components.common.errors import UserError
from components.common.records import from_json
from components.contracts.quarantine import LEFT_OUT_FILE, Action, QuarantineEntry, Reason
from components.example_gen.component import TfdsExampleGen
from components.example_gen.executor import Executor
from components.photos.corrections import read_corrections


def _write(path: Path, *rows: str, header: str = "id,split,label,suggested_label") -> str:
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def _run(root: Path, corrections: dict[str, str | None], **source: object) -> standard_artifacts.Examples:
    component = TfdsExampleGen(data_dir=str(root / "data"), corrections=json.dumps(corrections), **source)
    examples = standard_artifacts.Examples()
    examples.uri = str(root / "examples")
    Executor().Do({}, {"examples": [examples]}, component.exec_properties)
    return examples


def _labels(examples: standard_artifacts.Examples) -> dict[str, int]:
    files = tf.io.gfile.glob(f"{examples.uri}/Split-*/*.gz")
    labels = {}
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        labels[feature["id"].bytes_list.value[0].decode()] = feature["label"].int64_list.value[0]
    return labels


def _listing(examples: standard_artifacts.Examples) -> list[QuarantineEntry]:
    lines = (Path(examples.uri) / LEFT_OUT_FILE).read_text().splitlines()
    return [from_json(QuarantineEntry, json.loads(line)) for line in lines]


def test_files_say_what_belongs_elsewhere_and_what_nowhere(tmp_path: Path) -> None:
    relabel = _write(tmp_path / "relabel.csv", '"b, 2.jpg",train,daisy,roses', "a.jpg,test,roses,daisy")
    exclude = _write(tmp_path / "exclude.csv", "c.jpg", header="id")
    assert read_corrections(relabel, exclude) == {"a.jpg": "daisy", "b, 2.jpg": "roses", "c.jpg": None}
    assert read_corrections("", "") == {}


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (["a.jpg"], "id", "has no column 'suggested_label': give what `labels --to FILE.csv` wrote"),
        (["a.jpg,"], "id,suggested_label", "a row without id or suggested_label"),
        (["a.jpg,daisy", "a.jpg,roses"], "id,suggested_label", "names 'a.jpg' a second time"),
        (['a.jpg,"daisy'], "id,suggested_label", "unexpected end of data"),
    ],
)
def test_a_file_that_is_no_review_is_one_line(tmp_path: Path, rows: list[str], header: str, said: str) -> None:
    with pytest.raises(UserError, match="--relabel") as error:
        read_corrections(_write(tmp_path / "review.csv", *rows, header=header), "")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read --exclude .*nowhere\.csv': No such file"):
        read_corrections("", str(tmp_path / "nowhere.csv"))


def test_one_photo_cannot_be_relabelled_and_excluded(tmp_path: Path) -> None:
    review = _write(tmp_path / "review.csv", "a.jpg,train,roses,daisy")
    with pytest.raises(UserError, match=r"names 'a\.jpg' a second time"):
        read_corrections(review, review)


def test_corrections_of_own_photos_are_applied_and_listed(
    tmp_path: Path, photo_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = _labels(_run(tmp_path / "before", {}, photos=str(photo_folder)))
    with caplog.at_level(logging.INFO):
        corrections = {"red/red 00.jpg": "blue", "green/green 01.jpg": None, "x.jpg": None}
        examples = _run(tmp_path / "after", corrections, photos=str(photo_folder))
    expected = before | {"red/red 00.jpg": 0}
    del expected["green/green 01.jpg"]
    assert _labels(examples) == expected
    counts = json.loads(examples.get_string_custom_property(contracts.CLASS_COUNTS_PROPERTY))
    assert {name: sum(split[name] for split in counts.values()) for name in ("blue", "green", "red")} == {
        "blue": 21, "green": 19, "red": 19,
    }  # fmt: skip
    listed = {entry.id: (entry.action, entry.reason, entry.class_name) for entry in _listing(examples)}
    assert listed == {
        "red/red 00.jpg": (Action.REVIEWED, Reason.RELABELLED, "red"),
        "green/green 01.jpg": (Action.REVIEWED, Reason.EXCLUDED, "green"),
    }
    assert "1 photos excluded, 1 photos relabelled; 1 names are of no photo here, such as 'x.jpg'" in caplog.text


def test_corrections_of_a_tfds_dataset_are_applied(tmp_path: Path) -> None:
    dataset = {"dataset": "synthetic_flowers", "num_photos": 12}
    photo, label = min(_labels(_run(tmp_path, {}, **dataset)).items())
    corrected = _run(tmp_path, {photo: "tulips" if label == 0 else "dandelion"}, **dataset)
    assert _labels(corrected)[photo] != label
    assert [entry.id for entry in _listing(corrected)] == [photo]


def test_corrections_of_other_photos_are_an_error(tmp_path: Path, photo_folder: Path) -> None:
    with pytest.raises(UserError, match="none of the 1 photos that --relabel or --exclude name is here, such as 'x'"):
        _run(tmp_path, {"x": None}, photos=str(photo_folder))


def test_a_label_that_is_no_class_is_an_error(tmp_path: Path, photo_folder: Path) -> None:
    with pytest.raises(UserError, match="'pink', which is no class; there are blue, green, red"):
        _run(tmp_path, {"red/red 00.jpg": "pink"}, photos=str(photo_folder))
