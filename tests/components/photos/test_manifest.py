"""Manifests of photos, as labelling tools and Vertex AI write them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from components.common.errors import UserError
from components.example_gen.data_source import describe_source, find_photos
from components.example_gen.options import DataSource
from components.photos.manifest import photos_named
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
        ("sep=;\r\npath;label\r\nimg/0.jpg;a\r\nimg/1.jpg;b\r\n", TRAIN),
        ('path, label\nimg/0.jpg, "a"\nimg/1.jpg, "b"\n', TRAIN),
        ("path,label,is_valid,is_test\nimg/0.jpg,a,False,0\nimg/1.jpg,b,True,0\nimg/2.jpg,b,,1\n", SPLIT),
        ("image,a,b\nimg/0.jpg,1.0,0.0\nimg/1.jpg,0.0,1.0\n", TRAIN),
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
        ("x.csv", "", "has no rows: expected a header such as path,label and a row for each photo"),
        ("x.csv", "path,label\n", "has no rows: expected a header"),
        ("x.csv", "path,label,is_valid\nimg/0.jpg,a,maybe\n", "line 2 of .* has the split 'maybe': expected train"),
        ("x.csv", "path,label,is_valid,is_test\nimg/0.jpg,a,1,1\n", "has the split 'validation and test': expected"),
        ("x.csv", "path,label\nimg/0.jpg,Rose\nimg/1.jpg,rose\n", "'Rose' and 'rose' in .* differ only in upper and"),
        ("x.csv", "path,label\nimg/0.jpg,0\nimg/1.jpg,0.0\n", "'0' and '0.0' in .* differ only in the format of a"),
        ("x.csv", "path,label\nimg/0.jpg,a\nimg/1.jpg,a|b\n", "only one class, .*; 1 file .* 1 with several labels"),
        ("x.csv", "path,label\nimg/0.jpg,a,b\n", "line 2 of .* has 3 fields, its header 2"),
        ("x.csv", 'path,label\nimg/0.jpg,"a\n', "line 2 of .* is not CSV: unexpected end of data"),
        ("x.csv", "path,label\n,a\n", "line 2 of .* has no path"),
        ("x.csv", "path,label,split\nimg/0.jpg,a,fold 1\n", "line 2 of .* has the split 'fold 1': expected train"),
        ("x.csv", "img/0.jpg,a,b\n", r"line 1 of .* has 2 labels: expected \[split,\]path,label"),
        ("x.csv", "path,label\nno/0.jpg,a\n", r"no photos in .*; 1 file .* 1 missing; Line 2: .* at .*/no/0\.jpg"),
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


def test_unicode_text_of_excel_is_read(scan):
    assert found(scan("path\tlabel\nimg/0.jpg\ta\nimg/1.jpg\tb\n", encoding="utf-16")) == TRAIN


@pytest.mark.parametrize("nothing", ["NaN", "nan", "null", "NULL", "N/A", "<NA>", "[]", "[null]", "\u200b"])
def test_what_tools_write_for_no_label_is_none(scan, nothing: str):
    photo_set = scan(f"path,label\nimg/0.jpg,a\nimg/1.jpg,b\nimg/2.jpg,{nothing}\n")
    assert found(photo_set) == TRAIN
    assert describe_unused(photo_set.unused_files) == "1 file is not used: 1 without a label"


def test_not_a_number_is_no_label_in_json(scan):
    rows = [{"path": "img/0.jpg", "label": "a"}, {"path": "img/1.jpg", "label": "b"}]
    rows += [{"path": "img/2.jpg", "label": label} for label in (float("nan"), None, [], {"choices": []})]
    assert found(scan("\n".join(map(json.dumps, rows)), "x.jsonl")) == TRAIN


@pytest.mark.parametrize(
    "several",
    ["a|b", "a|c", "a; c", '"a,b"', '"a, b"', '"[""a"", ""c""]"', "\"['a', 'c']\"", '"{""choices"": [""a"", ""c""]}"'],
)
def test_photos_with_several_labels_are_left_out(scan, several: str):
    photo_set = scan(f"path,label\nimg/0.jpg,a\nimg/1.jpg,b\nimg/2.jpg,{several}\n")
    assert found(photo_set) == TRAIN
    assert [(file.path, file.reason.value) for file in photo_set.unused_files] == [("img/2.jpg", "several_labels")]
    assert describe_unused(photo_set.unused_files) == "1 file is not used: 1 with several labels"


@pytest.mark.parametrize("label", [["a", "c"], {"choices": ["a", "c"]}])
def test_several_labels_in_json_are_left_out_and_single_ones_used(scan, label):
    rows = [("img/0.jpg", ["a"]), ("img/1.jpg", {"choices": ["b"]}), ("img/2.jpg", label)]
    text = "\n".join(json.dumps({"path": path, "label": label}) for path, label in rows)
    photo_set = scan(text, "x.jsonl")
    assert found(photo_set) == TRAIN
    assert [file.reason.value for file in photo_set.unused_files] == ["several_labels"]


def test_a_class_may_have_a_comma_in_its_name(scan):
    photo_set = scan('path,label\nimg/0.jpg,"Rose, red"\nimg/1.jpg,Rose\nimg/2.jpg,"Rose, red"\n')
    assert photo_set.class_names == ("Rose", "Rose, red")
    assert photo_set.remarks == ("Labels kept whole, because other rows do not have their parts: 'Rose, red'",)


def test_columns_of_splits_that_are_not_used_are_named(scan):
    assert scan("path,label,fold\nimg/0.jpg,a,0\nimg/1.jpg,b,1\n").remarks == (
        "Column 'fold' is not used: splits are read from a column called split, with train, validation or test",
    )


def test_roboflow_s_columns_of_classes_are_read(scan):
    rows = ["filename, Daisy, species", "img/0.jpg, 1, 0", "img/1.jpg, 0, 1", "img/2.jpg, 1, 1", "img/3.jpg, 0, 0"]
    photo_set = scan("\n".join(rows), "_classes.csv")
    assert found(photo_set) == {"img/0.jpg": ("Daisy", "train"), "img/1.jpg": ("species", "train")}
    assert {file.path: file.reason.value for file in photo_set.unused_files} == {
        "img/2.jpg": "several_labels",
        "img/3.jpg": "no_label",
    }
    assert photo_set.layout == "Manifest _classes.csv: path is 'filename', label is 'Daisy, species'"


NFC, NFD = "ros\u00e9", "rose\u0301"


@pytest.mark.parametrize(("on_disk", "named"), [(NFC, NFD), (NFD, NFC)])
def test_a_name_finds_the_file_in_the_other_form_of_unicode(scan, tmp_path: Path, on_disk: str, named: str):
    (tmp_path / on_disk).mkdir()
    (tmp_path / on_disk / f"{on_disk}.jpg").write_bytes(b"photo")
    assert found(scan(f"path,label\n{named}/{named}.jpg,a\nimg/1.jpg,b\n")).keys() == {
        f"{named}/{named}.jpg",
        "img/1.jpg",
    }


@pytest.mark.parametrize("twin", [NFD, f"{NFC}\u200b", f"\u200e{NFC}"])
def test_labels_that_look_alike_are_one_class(scan, twin: str):
    photo_set = scan(f"path,label\nimg/0.jpg,{NFC}\nimg/1.jpg,b\nimg/2.jpg,{twin}\nimg/0.jpg,{twin}\n")
    assert photo_set.class_names == ("b", NFC)
    assert [file.reason.value for file in photo_set.unused_files] == ["duplicate_path"]
    [remark] = photo_set.remarks
    assert remark.startswith(f"2 spellings of {NFC!r} are one class: ")
    assert ascii(twin) in remark


def test_class_folders_that_look_alike_are_one_class(tmp_path: Path):
    for index, folder in enumerate(("rose", "rose ", "red\u00a0rose", "red  rose")):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        (tmp_path / "photos" / folder / f"{index}.jpg").write_bytes(folder.encode())
    source = DataSource(photos=str(tmp_path / "photos"), data_dir=str(tmp_path / "data"))
    description = describe_source(source)
    assert description.class_names == ("red\u00a0rose", "rose")
    assert "2 spellings of 'rose' are one class: 'rose', 'rose '" in description.remarks


def test_a_path_as_a_browser_writes_it_is_decoded(scan, tmp_path: Path):
    (tmp_path / "a b.jpg").write_bytes(b"photo")
    paths = (f"file://{tmp_path}/a%20b.jpg", "img/1.jpg")
    assert found(scan(f"path,label\n{paths[0]},a\n{paths[1]},b\n")).keys() == set(paths)


@pytest.mark.parametrize(
    ("column", "paths"),
    [
        ("image_id", ("0", "1")),
        ("img", ("/data/upload/1/3f2a9c01-0.jpg", "/data/upload/1/0a1b2c3d-1.JPG")),
        ("image", ("/data/local-files/?d=roses%2F0.jpg", "/data/local-files/?d=roses%2F1.jpg")),
        ("path", ("/home/ann/set/img/0.jpg", "/home/ann/set/img/1.jpg")),
        ("path", (r"C:\ann\img\0.jpg", r"C:\ann\img\1.jpg")),
    ],
)
def test_photos_are_found_by_the_ends_of_paths_of_other_places(scan, tmp_path: Path, column: str, paths):
    photo_set = scan(f"{column},label\n{paths[0]},a\n{paths[1]},b\n")
    assert {photo.path: Path(photo.file) for photo in photo_set.files} == {
        path: tmp_path / "img" / f"{index}.jpg" for index, path in enumerate(paths)
    }
    first = min(paths)
    file = next(photo.file for photo in photo_set.files if photo.path == first)
    assert photo_set.remarks == (f"Found by the end of their paths: 2 photos, such as {first!r}: {file}",)
    assert photos_named(str(tmp_path / "labels.csv")) == [str(tmp_path / "img" / f"{index}.jpg") for index in range(2)]


def test_of_photos_of_one_name_that_in_the_folder_of_the_path_is_meant(scan, tmp_path: Path):
    for folder in ("roses", "tulips"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.jpg").write_bytes(folder.encode())
    photo_set = scan("path,label\n/there/roses/0.jpg,a\n/there/tulips/0.jpg,b\n")
    assert {photo.class_name: Path(photo.file).parent.name for photo in photo_set.files} == {
        "a": "roses",
        "b": "tulips",
    }


def test_a_path_that_may_be_several_photos_is_left_out(scan, tmp_path: Path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "2.jpg").write_bytes(b"another")
    photo_set = scan("id,label\n0,a\n1,b\n2,b\n")
    assert found(photo_set).keys() == {"0", "1"}
    assert [(file.path, file.reason.value) for file in photo_set.unused_files] == [("2", "ambiguous_file")]
    assert photo_set.remarks[1] == "Line 4: '2' may be img/2.jpg or test/2.jpg: write the path"


def test_a_photo_of_another_folder_does_not_stand_in_for_a_missing_one(scan, tmp_path: Path):
    photo_set = scan("path,label\nimg/0.jpg,a\nimg/1.jpg,b\ntrain/2.jpg,b\n")
    assert found(photo_set) == TRAIN
    assert photo_set.remarks == (f"Line 4: 'train/2.jpg' is not at {tmp_path}/train/2.jpg",)


def test_in_a_bucket_photos_are_found_by_name_and_in_the_other_form_of_unicode(bucket: str, tmp_path: Path):
    write_object(f"{bucket}/img/{NFD}.jpg", b"photo")
    write_object(f"{bucket}/ids.csv", b"id,label\n0,a\n1,b\n")
    write_object(f"{bucket}/names.csv", f"path,label\n0.jpg,a\nimg/{NFC}.jpg,b\n".encode())
    files = [[photo.file for photo in scan_photos(f"{bucket}/{name}.csv", tmp_path).files] for name in ("ids", "names")]
    assert files == [[f"{bucket}/0.jpg", f"{bucket}/1.jpg"], [f"{bucket}/0.jpg", f"{bucket}/img/{NFD}.jpg"]]


@pytest.mark.parametrize("name", ["labels.xlsx", "labels.parquet", "labels.txt", "labels.JSON"])
def test_another_table_is_named(scan, name: str):
    how = "write one JSON object a line to a .jsonl" if name.endswith("JSON") else r"save it as CSV \(UTF-8\)"
    with pytest.raises(UserError, match=rf"a table of photos must be \.csv or \.jsonl, received .*{name}': {how}"):
        scan("anything", name)


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
