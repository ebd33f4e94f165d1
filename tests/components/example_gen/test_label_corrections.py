"""Corrections of a reviewer: read from files, applied by TfdsExampleGen, and listed."""

import hashlib
import json
import logging
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from example_gen_runs import read_examples, read_listing, run_example_gen
from tfx.types import standard_artifacts

from components import contracts
from components.common.errors import UserError
from components.contracts.quarantine import LEFT_OUT_FILE, Action, Reason
from components.example_gen.corrections import check_applied, write_listing
from components.example_gen.data_source import make_builder
from components.example_gen.options import DataSource
from components.example_gen.tfds_dataset import prepare_dataset
from components.photos.corrections import match_classes, read_corrections


def _write(path: Path, *rows: str, header: str = "id,split,label,suggested_label") -> str:
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def _labels(examples: standard_artifacts.Examples) -> dict[str, int]:
    return {photo: label for photos in read_examples(examples).values() for photo, (_, label) in photos.items()}


def test_files_say_what_belongs_elsewhere_and_what_nowhere(tmp_path: Path) -> None:
    relabel = _write(tmp_path / "relabel.csv", '"b, 2.jpg",train,daisy,roses', "a.jpg,test,roses,daisy")
    exclude = _write(tmp_path / "exclude.csv", "c.jpg", header="id")
    assert read_corrections(relabel, exclude) == {"a.jpg": "daisy", "b, 2.jpg": "roses", "c.jpg": None}
    assert read_corrections("", "") == {}


@pytest.mark.parametrize("sign", [";", "\t", "sep=;"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_are_read_as_spreadsheets_save_them(tmp_path: Path, sign: str, encoding: str) -> None:
    rows = [["id", "label", "suggested_label"], ["b, 2.jpg", "daisy", "null"], ["é.jpg", "daisy", "nan"]]
    text = "".join(sign[-1].join(row) + "\r\n" for row in rows)
    review = tmp_path / "review.csv"
    review.write_text((f"{sign}\r\n" if len(sign) > 1 else "") + text, encoding=encoding, newline="")
    assert read_corrections(str(review), "") == {"b, 2.jpg": "null", "é.jpg": "nan"}
    assert read_corrections("", str(review)) == {"b, 2.jpg": None, "é.jpg": None}


def test_classes_are_matched_as_spreadsheets_spell_them() -> None:
    corrections = {"1.jpg": "rose ", "2.jpg": "ros\u0065\u0301", "3.jpg": "null", "4.jpg": None}
    matched = {"1.jpg": "rose", "2.jpg": "ros\u00e9", "3.jpg": "null", "4.jpg": None}
    assert match_classes(corrections, ["null", "rose", "ros\u00e9"]) == matched
    with pytest.raises(UserError, match=r"--relabel gives '1\.jpg' the label 'pink', which is not one of blue, red"):
        match_classes({"1.jpg": "pink"}, ["blue", "red"])


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (["a.jpg"], "id", "has no column 'suggested_label': use a file that `labels --to FILE.csv` wrote"),
        (["a.jpg,"], "id,suggested_label", "row 1 has no id or suggested_label"),
        (["a.jpg,daisy", "a.jpg,roses"], "id,suggested_label", "contradicts an earlier row about 'a.jpg'"),
        (['a.jpg,"daisy'], "id,suggested_label", "unexpected end of data"),
        (["b, 2.jpg,daisy"], "id,suggested_label", "row 1 has more fields than the header: quote commas in names"),
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
    with pytest.raises(UserError, match=r"contradicts an earlier row about 'a\.jpg'"):
        read_corrections(review, review)


@pytest.mark.slow
def test_corrections_of_own_photos_are_applied_and_listed(
    tmp_path: Path, photo_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [photo.relative_to(photo_folder).as_posix() for photo in photo_folder.rglob("*.jpg")]
    labels = {name: ["blue", "green", "red"].index(name.split("/")[0]) for name in names}
    with caplog.at_level(logging.INFO):
        corrections = {"red/red 00.jpg": "blue", "green/green 01.jpg": None, "x.jpg": None}
        examples = run_example_gen(tmp_path / "after", corrections=corrections, photos=str(photo_folder))
    expected = labels | {"red/red 00.jpg": 0}
    del expected["green/green 01.jpg"]
    assert _labels(examples) == expected
    counts = json.loads(examples.get_string_custom_property(contracts.CLASS_COUNTS_PROPERTY))
    assert {name: sum(split[name] for split in counts.values()) for name in ("blue", "green", "red")} == {
        "blue": 21, "green": 19, "red": 19,
    }  # fmt: skip
    listed = {entry.id: (entry.action, entry.reason, entry.class_name) for entry in read_listing(examples)}
    assert listed == {
        "red/red 00.jpg": (Action.REVIEWED, Reason.RELABELLED, "red"),
        "green/green 01.jpg": (Action.REVIEWED, Reason.EXCLUDED, "green"),
    }
    assert "1 photo excluded, 1 photo relabelled; 1 photo not found, such as 'x.jpg'" in caplog.text


@pytest.mark.slow
def test_corrections_of_a_tfds_dataset_are_applied(tmp_path: Path) -> None:
    dataset = {"dataset": "synthetic_flowers", "num_photos": 12}
    builder = prepare_dataset(make_builder(DataSource(data_dir=str(tmp_path / "data"), **dataset)))
    decoders = {"image": tfds.decode.SkipDecoding()}
    example = next(iter(builder.as_dataset(split="train", decoders=decoders).as_numpy_iterator()))
    photo, label = hashlib.sha256(example["image"]).hexdigest(), int(example["label"])
    corrections = {photo: "tulips" if label == 0 else "dandelion"}
    corrected = run_example_gen(tmp_path, corrections=corrections, **dataset)
    assert _labels(corrected)[photo] != label
    assert [entry.id for entry in read_listing(corrected)] == [photo]


def test_corrections_of_other_photos_are_an_error(tmp_path: Path) -> None:
    listing = str(tmp_path / "examples" / LEFT_OUT_FILE)
    write_listing([], listing)
    with pytest.raises(UserError, match="no photo here has an id of --relabel or --exclude, such as 'x'"):
        check_applied({"x": None}, listing)


def test_a_label_that_is_no_class_is_an_error(tmp_path: Path, photo_folder: Path) -> None:
    with pytest.raises(UserError, match="the label 'pink', which is not one of blue, green, red"):
        run_example_gen(tmp_path, corrections={"red/red 00.jpg": "pink"}, photos=str(photo_folder))
