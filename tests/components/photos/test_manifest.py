"""Manifests of photos, as labelling tools and Vertex AI write them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from components.common.errors import UserError
from components.example_gen.data_source import describe_source, find_photos
from components.example_gen.options import DataSource
from components.photos.photo_set import PhotoSet, describe_unused
from components.photos.source import scan_photos
from components.storage.objects import read_object, write_object


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., PhotoSet]:
    """A function that writes a manifest beside eight photos and scans it."""
    for index in range(8):
        (tmp_path / "img").mkdir(exist_ok=True)
        (tmp_path / "img" / f"{index}.jpg").write_bytes(f"photo {index}".encode())

    def write_and_scan(text: str, name: str = "labels.csv", encoding: str = "utf-8") -> PhotoSet:
        (tmp_path / name).write_text(text, encoding=encoding)
        return scan_photos(tmp_path / name, tmp_path / "cache")

    return write_and_scan


def found(photo_set: PhotoSet) -> dict[str, tuple[str, str]]:
    return {photo.path: (photo.class_name, photo.split) for photo in photo_set.files}


SPLIT = {"img/0.jpg": ("a", "train"), "img/1.jpg": ("b", "validation"), "img/2.jpg": ("b", "test")}
TRAIN = {"img/0.jpg": ("a", "train"), "img/1.jpg": ("b", "train")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,label\nimg/0.jpg,a\nimg/1.jpg,b\n", TRAIN),
        ("\ufeffFile Name;Class\r\nimg/0.jpg;a\r\n\r\nimg/1.jpg;b\r\n", TRAIN),
        ("id\tfilepath\tlabel\n7\timg/0.jpg\ta\n8\timg/1.jpg\tb\n", TRAIN),
        ('annotator,choice,image\nme,a,"img/0.jpg"\nme,b,img/1.jpg\n', TRAIN),
        ("label,filename,class_name\n0,img/0.jpg,a\n1,img/1.jpg,b\n", TRAIN),
        ("image_path,label,split\nimg/0.jpg,a,train\nimg/1.jpg,b,val\nimg/2.jpg,b,TEST\n", SPLIT),
        ("img/0.jpg,a\nimg/1.jpg,b\n", TRAIN),
        (",path,,label\n0,img/0.jpg,,a\n1,img/1.jpg,,b\n", TRAIN),
        ("TRAINING,img/0.jpg,a\nVALIDATION,img/1.jpg,b\nTEST,img/2.jpg,b\n", SPLIT),
        ("training,img/0.jpg,a\nimg/1.jpg,b\n", TRAIN),
        ("UNASSIGNED,img/0.jpg,a\n,img/1.jpg,b\n", TRAIN),
    ],
)
def test_csv_is_read_by_the_names_of_its_columns(scan, text: str, expected):
    assert found(scan(text)) == expected


def test_paths_as_windows_writes_them_are_found(scan):
    found_there = scan("path,label\nimg\\0.jpg,a\nimg\\1.jpg,b\nimg/1.jpg,b\n")
    assert [photo.path for photo in found_there.files] == ["img\\0.jpg", "img\\1.jpg"]
    assert [file.reason.value for file in found_there.unused_files] == ["duplicate_path"]


def test_json_lines_are_read_by_the_names_of_their_keys(scan):
    rows = [{"file_name": "img/0.jpg", "label": "a"}, {"file_name": "img/1.jpg", "label": 7, "boxes": [1, 2]}]
    text = "\n".join(map(json.dumps, rows))
    assert found(scan(text, "metadata.jsonl")) == {"img/0.jpg": ("a", "train"), "img/1.jpg": ("7", "train")}


def test_what_sagemaker_labels_is_read(scan):
    rows = [
        {"source-ref": f"img/{index}.jpg", "flowers": index, "flowers-metadata": {"class-name": name, "confidence": 1}}
        for index, name in enumerate("ab")
    ]
    assert found(scan("\n".join(map(json.dumps, rows)), "output.manifest")) == TRAIN


def vertex(uri: str, label: str, split: str) -> str:
    resource = {"aiplatform.googleapis.com/ml_use": split}
    annotation = {"displayName": label, "annotationResourceLabels": {"aiplatform.googleapis.com/set": "s"}}
    return json.dumps({"imageGcsUri": uri, "classificationAnnotation": annotation, "dataItemResourceLabels": resource})


@pytest.fixture
def bucket(s3_bucket: str) -> str:
    for index in range(4):
        write_object(f"{s3_bucket}/{index}.jpg", f"photo {index}".encode())
    return s3_bucket


def test_vertex_ai_s_two_forms_are_the_same_photos(scan, bucket: str):
    uses = ("training", "training", "test")
    rows = [(f"{bucket}/{index}.jpg", "ab"[index % 2], use) for index, use in enumerate(uses)]
    csv_rows = "\n".join(f"{split.upper()},{uri},{label}" for uri, label, split in rows)
    of_csv = scan(csv_rows, "import.csv")
    of_json = scan("\n".join(vertex(*row) for row in rows), "import.jsonl")
    splits = ("train", "train", "test")
    expected = {uri: (label, split) for (uri, label, _), split in zip(rows, splits, strict=True)}
    assert found(of_csv) == found(of_json) == expected
    assert [read_object(photo.file) for photo in of_json.files] == [b"photo 0", b"photo 1", b"photo 2"]
    assert of_json.layout == (
        "Manifest import.jsonl: path is 'imageGcsUri', label is 'classificationAnnotation.displayName', split is "
        "'dataItemResourceLabels.aiplatform.googleapis.com/ml_use'; splits are kept: train, test; "
        "validation is cut from train"
    )


def test_in_a_bucket_a_manifest_is_beside_its_photos(scan, bucket: str, tmp_path: Path):
    write_object(f"{bucket}/labels.csv", b"path,label\n0.jpg,a\n./1.jpg,b\n9.jpg,b\n")
    photo_set = scan_photos(f"{bucket}/labels.csv", tmp_path)
    assert found(photo_set) == {"0.jpg": ("a", "train"), "./1.jpg": ("b", "train")}
    assert [(file.path, file.reason.value) for file in photo_set.unused_files] == [("9.jpg", "missing_file")]


def test_a_bucket_that_cannot_be_read_is_explained(scan):
    with pytest.raises(UserError, match=r"cannot read 'nosuch://x/0\.jpg': expected a path"):
        scan("nosuch://x/0.jpg,a\nimg/1.jpg,b\n")


def test_rows_of_no_use_are_left_out_each_with_its_line(scan, tmp_path: Path):
    rows = [
        "path,label", "img/0.jpg,a", "img/1.jpg,b", "img/2.jpg,", "img/3.jpg", "./img/0.jpg,a", "img/4.jpg,a",
        "img/4.jpg,b", "img/nowhere.jpg,a", "img,a", "img/5.txt,a",
    ]  # fmt: skip
    (tmp_path / "img" / "5.txt").write_text("named, so it is looked at")
    photo_set = scan("\n".join(rows))
    assert found(photo_set) == TRAIN | {"img/5.txt": ("a", "train")}
    assert {(file.path, file.line): file.reason.value for file in photo_set.unused_files} == {
        ("img/2.jpg", 4): "no_label",
        ("img/3.jpg", 5): "no_label",
        ("./img/0.jpg", 6): "duplicate_path",
        ("img/4.jpg", 7): "label_conflict",
        ("img/4.jpg", 8): "label_conflict",
        ("img/nowhere.jpg", 9): "missing_file",
        ("img", 10): "no_regular_file",
    }
    assert describe_unused(photo_set.unused_files) == (
        "7 files are not used: 2 under two labels, 2 without a label, 1 listed before, 1 missing, "
        "1 not a regular file (link to a folder, broken link)"
    )
    assert photo_set.unused_files[0].to_entry().detail == "listed before (line 6)"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "photo_id,label\n1,a\n", "no column for the photo's path: found photo_id, label; expected one"),
        ("x.csv", "path,species_id\n1.jpg,a\n", "no column for the photo's label: found path, species_id; expected"),
        ("x.csv", "path,label,path\nimg/0.jpg,a,b\n", "has two columns called 'path'"),
        ("x.jsonl", "[" * 100_000, "line 1 of .* is not JSON: "),
        ("x.csv", "", "no column for the photo's path: found none"),
        ("x.csv", "path,label\nimg/0.jpg,a,b\n", "line 2 of .* has 3 fields, its header 2"),
        ("x.csv", 'path,label\nimg/0.jpg,"a\n', "line 2 of .* is not CSV: unexpected end of data"),
        ("x.csv", "path,label\n,a\n", "line 2 of .* has no path"),
        ("x.csv", "path,label,split\nimg/0.jpg,a,fold 1\n", "line 2 of .* has the split 'fold 1': expected train"),
        ("x.csv", "img/0.jpg,a,b\n", r"line 1 of .* has 2 labels: expected \[split,\]path,label"),
        ("x.csv", "path,label\nno/0.jpg,a\n", "no photos in .*; 1 file is not used: 1 missing"),
        ("x.csv", "path,label\nimg/0.jpg,a\nimg/1.jpg,a\n", "only one class, 'a'"),
        ("x.csv", "path,label,split\nimg/0.jpg,a,val\nimg/1.jpg,b,test\n", "has photos of test, validation but none"),
        ("x.jsonl", '{"path": "img/0.jpg", "label": "a"}\n{"path":\n', "line 2 of .* is not JSON: Expecting value"),
        ("x.jsonl", '["img/0.jpg", "a"]\n', "line 1 of .* is not a JSON object"),
        ("x.jsonl", '{"path": "img/0.jpg", "label": "a"}\n{"label": "a"}', "line 2 of .* has no path"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_one_line(scan, name: str, text: str, message: str):
    with pytest.raises(UserError, match=message) as error:
        scan(text, name)
    assert "\n" not in str(error.value)


def test_another_encoding_is_named_with_its_line(scan):
    with pytest.raises(UserError, match=r"line 3 of .* is not UTF-8: save it as UTF-8"):
        scan("path,label\nimg/0.jpg,a\nimg/1.jpg,grün\n", encoding="latin-1")


def test_the_fingerprint_follows_rows_and_photos(scan, tmp_path: Path):
    text = "path,label,camera\nimg/0.jpg,a,1\nimg/1.jpg,b,1\n"
    seen = {scan(text).fingerprint}
    assert scan(text.replace("\n", "\r\n")).fingerprint in seen
    seen |= {scan(text.replace(",b,", ",c,")).fingerprint, scan(text.replace("b,1", "b,2")).fingerprint}
    (tmp_path / "img" / "1.jpg").write_bytes(b"another")
    seen.add(scan(text).fingerprint)
    assert len(seen) == 4


def test_splits_are_kept_and_missing_ones_cut_from_train(scan, tmp_path: Path):
    splits = ["", "", "", "train", "train", "test", "train", "train"]
    rows = [f"img/{index}.jpg,{'ab'[index % 2]},{split}" for index, split in enumerate(splits)]
    scan("\n".join(["path,label,split", *rows]))
    source = DataSource(photos=str(tmp_path / "labels.csv"), data_dir=str(tmp_path / "data"))
    assert describe_source(source).remarks == (
        "Manifest labels.csv: path is 'path', label is 'label', split is 'split'; splits are kept: train, test; "
        "rows without one are in train: 3; validation is cut from train",
    )
    sizes = {split: len(photos) for split, photos in find_photos(source).splits.items()}
    assert sizes == {"train": 5, "validation": 2, "test": 1}
