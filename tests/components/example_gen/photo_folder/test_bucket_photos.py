"""Photos in a bucket, which TensorFlow's file system in memory stands for, and their fingerprint in each run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components.common.errors import UserError
from components.common.storage import s3_objects
from components.example_gen.photo_folder.bucket_photos import copy_all, fetch_photos
from components.example_gen.photos_fingerprint.executor import Executor
from components.example_gen.sources import scan_photos

BUCKET = "ram://flowers"


@pytest.fixture
def bucket(photo_folder: Path) -> Iterator[str]:
    """The URI of a copy of the photos."""
    uri = f"{BUCKET}/my photos"
    for file in photo_folder.rglob("*.jpg"):
        _put(f"{uri}/{file.relative_to(photo_folder)}", file.read_bytes())
    yield uri
    tf.io.gfile.rmtree(BUCKET)


def _put(uri: str, content: bytes) -> None:
    tf.io.gfile.makedirs(uri.rpartition("/")[0])
    with tf.io.gfile.GFile(uri, "wb") as file:
        file.write(content)


def _fingerprint(tmp_path: Path, photos: str, expected: str = "") -> str:
    artifact = standard_artifacts.String()
    artifact.uri = str(tmp_path / "fingerprint")
    Executor().Do(
        {}, {"fingerprint": [artifact]}, {"photos": photos, "data_dir": str(tmp_path / "data"), "expected": expected}
    )
    return str(artifact.value)


def test_they_are_those_of_the_folder(bucket: str, photo_folder: Path, tmp_path: Path) -> None:
    fetched, local = (scan_photos(path, tmp_path / "cache") for path in (bucket, photo_folder))
    assert fetched.name == local.name == "my photos"
    assert fetched.photos == local.photos
    assert fetched.fingerprint == local.fingerprint


def test_a_manifest_and_its_photos_on_an_s3_server(photo_folder: Path, tmp_path: Path, s3_bucket: str) -> None:
    rows = ["image,label"]
    for photo in sorted(photo_folder.rglob("*.jpg")):
        s3_objects.put(f"{s3_bucket}/set/{photo.name}", photo.read_bytes())
        rows.append(f"{s3_bucket}/set/{photo.name},{photo.parent.name}" if "red" in photo.name else f"{photo.name},x")
    rows.append(f"{s3_bucket}/set/none.jpg,red")
    s3_objects.put(f"{s3_bucket}/set/labels.csv", "\n".join(rows).encode())
    found = scan_photos(f"{s3_bucket}/set/labels.csv", tmp_path)
    assert found.class_counts == {"red": 20, "x": 40}
    assert {photo.file.read_bytes() for photo in found.files} == {p.read_bytes() for p in photo_folder.rglob("*.jpg")}
    assert [(file.path, file.reason.value) for file in found.left_out] == [
        (f"{s3_bucket}/set/none.jpg", "missing_file")
    ]


def test_an_archive_is_one_file(bucket: str, photo_folder: Path, tmp_path: Path) -> None:
    import shutil

    archive = Path(shutil.make_archive(str(tmp_path / "flowers"), "zip", photo_folder))
    _put(f"{BUCKET}/flowers.zip", archive.read_bytes())
    fetched = scan_photos(f"{BUCKET}/flowers.zip", tmp_path / "cache")
    assert (fetched.name, fetched.fingerprint) == ("flowers", scan_photos(photo_folder, tmp_path).fingerprint)


def test_the_fingerprint_follows_the_photos(
    bucket: str, photo_folder: Path, tmp_path: Path, encode_image: Callable[..., bytes]
) -> None:
    before = _fingerprint(tmp_path, bucket)
    assert before == scan_photos(photo_folder, tmp_path).fingerprint
    assert _fingerprint(tmp_path, bucket, expected=before) == before

    _put(f"{bucket}/red/one more.jpg", encode_image())

    assert _fingerprint(tmp_path, bucket) != before
    with pytest.raises(
        UserError, match=rf"the photos in {bucket} have the fingerprint \w+ where {before} was expected"
    ):
        _fingerprint(tmp_path, bucket, expected=before)


def test_nothing_there(bucket: str) -> None:
    for uri in (f"{BUCKET}/elsewhere", "nosuch://bucket/photos"):
        with pytest.raises(UserError, match=r"no photos at|cannot read photos from") as error:
            fetch_photos(uri)
        assert uri in str(error.value)
        assert len(str(error.value).splitlines()) == 1


def test_a_name_that_leads_elsewhere_is_refused(bucket: str, tmp_path: Path) -> None:
    """A bucket's keys are no paths; the file system in memory has no such names."""
    with pytest.raises(UserError, match="whose name leads out of its folder"):
        copy_all(bucket, tmp_path / "target", ["red/../../stolen.jpg"])
    assert not (tmp_path / "stolen.jpg").exists()
