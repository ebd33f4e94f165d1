"""What is a photo, what is a class, and what a user is told when there are none."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from photo_sets import class_counts_of, paths_of, reasons_of, root_of, write_names

from components.common.errors import UserError
from components.photos import source
from components.photos.photo_set import describe_unused
from components.photos.source import scan_photos

ODD_CLASS = "a <b>\"'& ü\n日本"
ODD_PHOTO = "x y\n\"'<script>é\\.JPG"


def test_photos_are_found_by_suffix_and_the_rest_is_counted(tmp_path: Path):
    root = write_names(tmp_path / "set", "b/1.jpg", "b/2.JPEG", "a/3.png", "a/sub/4.GIF", "c/5.bmp")
    write_names(
        root, "LICENSE.txt", "top.jpg", "a/.hidden.jpg", "a/notes.txt", ".git/x/6.jpg", "__MACOSX/a/7.jpg", "d/e.txt"
    )
    write_names(root, "a/b.PSD", "a/c.psd", "c/readme", "d/e.txt")
    photo_set = scan_photos(root, tmp_path / "cache")
    assert paths_of(photo_set) == ("a/3.png", "a/sub/4.GIF", "b/1.jpg", "b/2.JPEG", "c/5.bmp")
    assert photo_set.class_names == ("a", "b", "c")
    assert class_counts_of(photo_set) == {"a": 2, "b": 2, "c": 1}
    assert photo_set.name == "set"
    assert reasons_of(photo_set) == {
        "LICENSE.txt": "outside_class_folders",
        "top.jpg": "outside_class_folders",
        "a/.hidden.jpg": "hidden",
        ".git/x/6.jpg": "hidden",
        "__MACOSX/a/7.jpg": "hidden",
        "a/notes.txt": "unsupported_suffix",
        "a/b.PSD": "unsupported_suffix",
        "a/c.psd": "unsupported_suffix",
        "c/readme": "unsupported_suffix",
        "d/e.txt": "unsupported_suffix",
    }
    assert describe_unused(photo_set.unused_files) == (
        "10 files are not used: 3 hidden, 2 .psd, 2 .txt, 2 outside class folders, 1 without a suffix"
    )


def test_files_beside_a_single_top_level_folder_are_left_out_too(tmp_path: Path, write_tgz):
    used = ["flowers/a/1.jpg", "flowers/b/2.jpg"]
    others = {
        "README.md": "outside_class_folders",
        "flowers/LICENSE.txt": "outside_class_folders",
        "flowers/a/x.svg": "unsupported_suffix",
    }
    root = write_names(tmp_path / "set", *used, *others)
    archive = write_tgz(tmp_path / "set.tgz", dict.fromkeys((*used, *others), b""))
    for given in (root, archive, archive):  # An archive is unpacked once.
        found = scan_photos(given, tmp_path / "cache").unused_files
        assert {file.path: file.reason.value for file in found} == others


def test_files_of_an_archive_that_are_not_photos_do_not_change_its_classes(tmp_path: Path, write_tgz):
    files = dict.fromkeys(("flowers/a/1.jpg", "flowers/b/2.jpg", "docs/notes.txt"), b"")
    found = scan_photos(write_tgz(tmp_path / "set.tgz", files), tmp_path / "cache")
    assert (found.class_names, reasons_of(found)) == (("a", "b"), {"docs/notes.txt": "outside_class_folders"})


def test_a_single_top_level_link_is_followed(tmp_path: Path):
    write_names(tmp_path / "elsewhere", "a/1.jpg", "b/2.jpg", "README")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "flowers").symlink_to(tmp_path / "elsewhere")
    found = scan_photos(tmp_path / "set", tmp_path / "cache")
    assert (paths_of(found), reasons_of(found)) == (
        ("a/1.jpg", "b/2.jpg"),
        {"flowers/README": "outside_class_folders"},
    )


def test_linked_class_folders_are_followed_but_not_in_circles(tmp_path: Path):
    write_names(tmp_path / "disk", "roses/1.jpg", "roses/sub/2.jpg", "tulips/1.jpg")
    root = write_names(tmp_path / "set", "daisy/1.jpg")
    (root / "roses").symlink_to(tmp_path / "disk/roses")
    (root / "roses2").symlink_to(tmp_path / "disk/roses/sub")  # Its photos are there already.
    (root / "tulips").symlink_to(tmp_path / "disk/tulips")
    (tmp_path / "disk/tulips/loop").symlink_to(tmp_path / "disk/tulips")
    (tmp_path / "disk/tulips/back").symlink_to(root)
    (root / "daisy/up").symlink_to(tmp_path)
    (root / ".git").symlink_to(tmp_path / "disk")
    found = scan_photos(root, tmp_path / "cache")
    assert paths_of(found) == ("daisy/1.jpg", "roses/1.jpg", "roses/sub/2.jpg", "tulips/1.jpg")
    assert reasons_of(found) == {
        ".git/": "hidden",
        **dict.fromkeys(("daisy/up/", "roses2/", "tulips/back/", "tulips/loop/"), "no_regular_file"),
    }
    assert found.remarks == (
        "Photos of 1 sub-folder count for the class above: roses/sub",
        "Folders without photos are not classes: roses2/ (1 not a regular file (link to a folder, broken link))",
    )


def test_sub_folders_of_classes_are_named(tmp_path: Path):
    root = write_names(tmp_path / "set", "roses/red/1.jpg", "roses/white/old/2.jpg", "tulips/1.jpg")
    found = scan_photos(root, tmp_path)
    assert class_counts_of(found) == {"roses": 2, "tulips": 1}
    assert found.remarks == ("Photos of 2 sub-folders count for the class above: roses/red, roses/white",)
    many = write_names(tmp_path / "many", "a/1.jpg", *(f"b/{index}/1.jpg" for index in range(7)))
    assert scan_photos(many, tmp_path).remarks[0].endswith("above: b/0, b/1, b/2, b/3, b/4 and 2 more")


def test_class_folders_without_photos_are_named(tmp_path: Path, write_tgz):
    names = ("a/1.jpg", "b/2.jpg", "b/notes.txt", "raw/1.cr2", "raw/2.cr2", "raw/notes.txt")
    root = write_names(tmp_path / "set", *names)
    (root / "lilies").mkdir()
    remark = "Folders without photos are not classes: lilies/ (empty), raw/ (2 .cr2, 1 .txt)"
    assert scan_photos(root, tmp_path / "cache").remarks == (remark,)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("lilies/", "a/", "raw/"):
            archive.writestr(name, b"")
        for name in names:
            archive.writestr(name, b"")
    for _ in range(2):  # extracted, and from the copy
        assert scan_photos(tmp_path / "set.zip", tmp_path / "cache").remarks == (remark,)

    splits = write_names(tmp_path / "splits", "train/a/1.jpg", "train/b/1.jpg", "test/a/2.jpg", "train/c/x.psd")
    (splits / "test/b").mkdir()
    assert scan_photos(splits, tmp_path).remarks == ("Folders without photos are not classes: train/c/ (1 .psd)",)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".pjpeg", ".JFIF"])
def test_all_suffixes_of_jpeg_are_photos(tmp_path: Path, suffix: str):
    root = write_names(tmp_path / "set", f"a/1{suffix}", "b/1.jpg")
    assert class_counts_of(scan_photos(root, tmp_path)) == {"a": 1, "b": 1}


@pytest.mark.parametrize("output", ["output", "a/output", "runs/of/me"])
def test_an_output_folder_below_the_photos_is_not_part_of_them(tmp_path: Path, output: str):
    root = write_names(tmp_path / "set", "a/1.jpg", "b/1.jpg")
    before = scan_photos(root, tmp_path / "cache")
    write_names(root / output, ".lock", "logs/1.log", "datasets/x/1.jpg", "reports/1.html", ".tmp/2.jpg")
    during = scan_photos(root, tmp_path / "cache")
    write_names(root / output, "metadata.sqlite", "pipelines/set/1.jpg")
    assert before == during == scan_photos(root, tmp_path / "cache")


def test_photos_that_are_the_output_folder_are_refused(tmp_path: Path):
    write_names(tmp_path / "set", "a/1.jpg", "b/1.jpg", "metadata.sqlite")
    with pytest.raises(UserError, match="/set' is the --output of runs: give them another folder"):
        scan_photos(tmp_path / "set", tmp_path)


def test_archives_that_an_earlier_version_unpacked_are_unpacked_again(tmp_path: Path, write_tgz):
    archive = write_tgz(tmp_path / "photos.tgz", {"a/1.jpg": b"1", "b/3.jpg": b"3", "b/notes.txt": b""})
    first = scan_photos(archive, tmp_path / "cache")
    record = root_of(first).with_suffix(".json")
    record.write_text(json.dumps({"fingerprint": first.fingerprint, "left_out": ["b/new.heic", "b/notes.txt"]}))
    assert scan_photos(archive, tmp_path / "cache") == first


def test_archives_and_top_level_folders_make_no_difference(tmp_path: Path, photo_folder: Path, write_tgz):
    cache = tmp_path / "cache"
    files = {f"flowers/{file.relative_to(photo_folder)}": file.read_bytes() for file in photo_folder.rglob("*.jpg")}
    files["flowers/LICENSE.txt"] = b"free"
    with zipfile.ZipFile(tmp_path / "flowers.zip", "w") as zip_file:
        for name, content in files.items():
            zip_file.writestr(name.removeprefix("flowers/"), content)
    plain = scan_photos(photo_folder, cache)
    for archive in (write_tgz(tmp_path / "flowers.tar.gz", files), tmp_path / "flowers.zip"):
        unpacked = scan_photos(archive, cache)
        assert unpacked.fingerprint == plain.fingerprint
        assert paths_of(unpacked) == paths_of(plain)
        assert (unpacked.name, len(unpacked.unused_files)) == ("flowers", 1)
        assert scan_photos(archive, cache) == unpacked


def test_every_change_changes_the_fingerprint(tmp_path: Path, photo_folder: Path):
    def fingerprint() -> str:
        return scan_photos(photo_folder, tmp_path).fingerprint

    seen = {fingerprint()}
    photo = photo_folder / "red" / "red 00.jpg"
    photo.write_bytes(photo.read_bytes() + b"\0")
    seen.add(fingerprint())
    photo.rename(photo_folder / "red" / "renamed.jpg")
    seen.add(fingerprint())
    (photo_folder / "red" / "renamed.jpg").rename(photo_folder / "blue" / "renamed.jpg")
    seen.add(fingerprint())
    (photo_folder / "blue" / "renamed.jpg").unlink()
    seen.add(fingerprint())
    assert len(seen) == 5


def test_a_damaged_unpacked_copy_is_replaced(tmp_path: Path, write_tgz):
    archive = write_tgz(tmp_path / "photos.tgz", {"a/1.jpg": b"1", "a/2.jpg": b"2", "b/3.jpg": b"3"})
    intact = scan_photos(archive, tmp_path / "cache")
    (root_of(intact) / "a" / "2.jpg").unlink()
    assert scan_photos(archive, tmp_path / "cache") == intact
    assert (root_of(intact) / "a" / "2.jpg").read_bytes() == b"2"


@pytest.mark.parametrize("record", ["", '{"fingerprint": "0', "[]", '{"suffixes": [".jpg"]}'])
def test_a_damaged_record_of_an_unpacked_archive_is_written_anew(tmp_path: Path, write_tgz, record: str):
    archive = write_tgz(tmp_path / "photos.tgz", {"a/1.jpg": b"1", "b/3.jpg": b"3"})
    intact = scan_photos(archive, tmp_path / "cache")
    file = root_of(intact).with_suffix(".json")
    written = file.read_text()
    file.write_text(record)
    assert scan_photos(archive, tmp_path / "cache") == intact
    assert file.read_text() == written


def test_what_a_killed_run_left_is_neither_used_nor_kept(tmp_path: Path, write_tgz):
    archive = write_tgz(tmp_path / "photos.tgz", {"a/1.jpg": b"1", "b/3.jpg": b"3"})
    intact = scan_photos(archive, tmp_path / "cache")
    folder = root_of(intact)
    shutil.copytree(folder, folder.with_suffix(".incomplete"))
    folder.with_suffix(".json").unlink()
    (folder / "a" / "1.jpg").write_bytes(b"half")
    assert scan_photos(archive, tmp_path / "cache") == intact
    assert not folder.with_suffix(".incomplete").exists()


def test_odd_names_and_broken_links(tmp_path: Path):
    root = write_names(tmp_path / "set", f"{ODD_CLASS}/{ODD_PHOTO}", "b/1.jpg")
    (root / "b" / "broken.jpg").symlink_to("nowhere.jpg")
    (root / "b" / "loop").symlink_to(root)
    (root / "b" / "folder.jpg").mkdir()
    os.mkfifo(root / "b" / "pipe.jpg")
    (root / "c").symlink_to(root / "b")
    photo_set = scan_photos(root, tmp_path)
    assert paths_of(photo_set) == tuple(sorted([f"{ODD_CLASS}/{ODD_PHOTO}", "b/1.jpg"]))
    reasons = reasons_of(photo_set)
    assert reasons == {
        "b/broken.jpg": "no_regular_file",
        "b/loop/": "no_regular_file",
        "b/pipe.jpg": "no_regular_file",
        "c/": "no_regular_file",
    }


def test_a_class_name_that_is_not_text_is_refused(tmp_path: Path):
    root = write_names(tmp_path / "set", "a/1.jpg", "b/1.jpg")
    write_names(root, os.fsdecode(b"\xff/1.jpg"))
    with pytest.raises(UserError, match="not UTF-8"):
        scan_photos(root, tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no photos in the folders"),
        (["1.jpg", "2.jpg"], "no photos in the folders"),
        (["a/1.txt", "b/2.psd", "b/3.psd"], "no photos in the folders.*; 3 files are not used: 2 .psd, 1 .txt"),
        (["a/1.jpg", "b/2.txt"], "only one class, 'a'"),
        (["top/a/1.jpg"], "only one class, 'a'"),
    ],
)
def test_folders_without_classes_are_explained(tmp_path: Path, names: list[str], message: str):
    root = tmp_path / "set"
    root.mkdir()
    with pytest.raises(UserError, match=message) as error:
        scan_photos(write_names(root, *names), tmp_path)
    assert "\n" not in str(error.value)


def test_paths_that_are_no_photos_are_explained(tmp_path: Path, write_tgz):
    with pytest.raises(UserError, match="no photos at"):
        scan_photos(tmp_path / "missing", tmp_path)
    with pytest.raises(UserError, match="cannot unpack"):
        scan_photos(write_names(tmp_path, "photos.tgz") / "photos.tgz", tmp_path / "cache")
    with pytest.raises(UserError, match="is not safe to unpack"):
        scan_photos(write_tgz(tmp_path / "evil.tgz", {"../a/1.jpg": b""}), tmp_path / "cache")
    with pytest.raises(UserError, match="only one class"):
        scan_photos(write_tgz(tmp_path / "one.tgz", {"a/1.jpg": b""}), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.incomplete"))


def test_scanning_loads_no_tensorflow():
    code = f"import sys, {source.__name__}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
