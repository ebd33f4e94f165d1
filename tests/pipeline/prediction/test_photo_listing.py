"""The photos that `predict` finds, reads and leaves out, on this machine and in buckets."""

from pathlib import Path

import pytest
from loopback_storages import make_bucket, put_raw
from photo_files import ANIMATED_GIF, encode, jpeg, scene

from components.common.errors import UserError
from components.photos.convert import convert
from pipeline.prediction.photo_inputs import read_photo
from pipeline.prediction.photo_listing import list_photos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos in several formats, and files that are not photos."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    root = tmp_path / "photos"
    for name in ("red/a.jpg", "red/b.HEIC", "c.tif", "d.webp", "e.gif"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        kind = {".jpg": "JPEG", ".HEIC": "HEIF", ".tif": "TIFF", ".webp": "WEBP", ".gif": "GIF"}[Path(name).suffix]
        (root / name).write_bytes(encode(scene(1), format=kind))
    for name in ("notes.txt", ".hidden.jpg", ".thumbnails/a.jpg", "LICENSE"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    (root / "linked").symlink_to(root / "red", target_is_directory=True)
    return root


def test_a_folder_names_all_that_it_leaves_out(folder: Path) -> None:
    found = list_photos([str(folder)])

    assert [Path(path).name for path in found.photos] == ["c.tif", "d.webp", "e.gif", "a.jpg", "b.HEIC"]
    assert {str(Path(file.path).relative_to(folder)): file.kind for file in found.left_out} == {
        "notes.txt": ".txt",
        "LICENSE": "without a suffix",
        ".hidden.jpg": "hidden",
        ".thumbnails/a.jpg": "hidden",
        "linked": "not a regular file (link to a folder, broken link)",
    }
    assert [read_photo(path).error for path in found.photos] == [None] * 5


@pytest.mark.parametrize(
    ("pattern", "names", "left_out"),
    [
        ("red/*.jpg", ["a.jpg"], []),
        ("*", ["c.tif", "d.webp", "e.gif", "a.jpg", "a.jpg", "b.HEIC", "b.HEIC"], ["LICENSE", "notes.txt"]),
        ("**/*.[jt][pi]*", ["c.tif", "a.jpg", "a.jpg"], []),
    ],
)
def test_globs_are_expanded_as_by_a_shell(folder: Path, pattern: str, names: list[str], left_out: list[str]) -> None:
    found = list_photos([str(folder / pattern)])

    assert sorted(Path(path).name for path in found.photos) == sorted(names)
    assert [Path(file.path).name for file in found.left_out] == left_out


def test_single_files_are_photos_whatever_their_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    Path("odd[1].bin").write_bytes(jpeg(1))

    found = list_photos(["odd[1].bin", "none.jpg", "red/a.jpg"])

    assert found.photos == ["odd[1].bin", "none.jpg", "red/a.jpg"]
    assert (found.missing, found.left_out) == (["none.jpg"], [])
    assert [read_photo(path).error for path in found.photos] == [None, "No such file or directory", None]


def test_a_manifest_names_photos(folder: Path) -> None:
    (folder / "some.csv").write_text("path\nred/a.jpg\nc.tif\n")

    assert list_photos([str(folder / "some.csv")]).photos == [str(folder / "red/a.jpg"), str(folder / "c.tif")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("*.png", r"no photos at '.*/\*.png'$"),
        (".thumbnails", "no photos at '.*/.thumbnails': 1 file is not used: 1 .txt"),
    ],
)
def test_a_place_without_photos_is_an_error(folder: Path, source: str, message: str) -> None:
    (folder / ".thumbnails" / "a.jpg").rename(folder / ".thumbnails" / "a.txt")
    with pytest.raises(UserError, match=message):
        list_photos([str(folder / source)])


def test_the_uri_of_an_unknown_storage_is_an_error() -> None:
    with pytest.raises(UserError, match=r"cannot read 'ftp://host/a.jpg': expected .* s3://, gs://, az://, hdfs://"):
        list_photos(["ftp://host/a.jpg"])


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_photos_in_buckets(scheme: str, s3_server: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", s3_server)
    bucket = make_bucket(s3_server)
    for name in ("a.jpg", "red/b.jpg", "red/notes.txt"):
        put_raw(f"s3://{bucket}/{name}", jpeg(1), ACL="public-read")
    uri = f"{scheme}://{bucket}"

    single = list_photos([f"{uri}/a.jpg", f"{uri}/none.jpg"])
    below = list_photos([uri, f"{uri}/red/"])
    matching = list_photos([f"{uri}/*.jpg"])

    assert single == ([f"{uri}/a.jpg", f"{uri}/none.jpg"], [], [f"{uri}/none.jpg"])
    assert [read_photo(photo).error for photo in single.photos] == [None, "No such file or directory"]
    assert below.photos == [f"{uri}/a.jpg", f"{uri}/red/b.jpg", f"{uri}/red/b.jpg"]
    assert [file.path for file in below.left_out] == [f"{uri}/red/notes.txt"] * 2
    assert matching.photos == [f"{uri}/a.jpg"]
    with pytest.raises(UserError, match=r"no photos at .*/empty"):
        list_photos([f"{uri}/empty"])


@pytest.mark.parametrize("kind", ["TIFF", "HEIF", "AVIF"])
def test_other_formats_are_converted_as_in_training(tmp_path: Path, kind: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    path = tmp_path / "photo"
    path.write_bytes(encode(scene(1), format=kind))

    assert read_photo(str(path)).content == convert(path.read_bytes())


def test_of_several_pictures_the_first_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(ANIMATED_GIF)

    assert read_photo(str(path)).content == ANIMATED_GIF
    path.write_bytes(encode(scene(1), format="TIFF", save_all=True, append_images=[scene(2)]))
    assert read_photo(str(path)).error is None
