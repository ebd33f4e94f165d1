"""Photos in S3, Google Cloud Storage and HDFS, on loopback servers, and their fingerprint in each run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
import requests
import tensorflow as tf
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from loopback_storages import Storage
from moto.moto_server.werkzeug_app import MotoRequestHandler
from photo_sets import class_counts_of, paths_of, reasons_of
from tfx.types import standard_artifacts

from components.common.errors import UserError
from components.contracts import IMAGE_KEY
from components.example_gen.component import PhotosFingerprint
from components.example_gen.data_source import find_photos
from components.example_gen.options import DataSource
from components.example_gen.photo_reading import ListPhotos, ReadPhotos
from components.photos.source import scan_photos
from components.storage.objects import client_of, delete_object, find_objects


@pytest.fixture
def asked(s3_storage: Storage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that the S3 server gets."""
    requests: list[str] = []

    def note(self: MotoRequestHandler, *_: object) -> None:
        requests.append(f"{self.command} {'listing' if 'list-type' in self.path else 'object'}")

    monkeypatch.setattr(MotoRequestHandler, "log_request", note)
    return requests


def _fingerprint(tmp_path: Path, photos: str, expected: str = "") -> str:
    artifact = standard_artifacts.String()
    artifact.uri = str(tmp_path / "fingerprint")
    PhotosFingerprint.test_call(
        photos=photos, data_dir=str(tmp_path / "data"), layout="auto", expected=expected, fingerprint=artifact
    )
    return str(artifact.value)


def test_they_are_those_of_the_folder(storage: Storage, photo_folder: Path, tmp_path: Path) -> None:
    (photo_folder / "red" / "notes.txt").write_text("of no use")
    (photo_folder / "red" / ".hidden.jpg").write_bytes(b"")
    uri = storage.put_folder(photo_folder)
    found, local = scan_photos(f"{uri}/", tmp_path / "cache"), scan_photos(photo_folder, tmp_path / "cache")
    assert (found.name, found.class_names, paths_of(found)) == (local.name, local.class_names, paths_of(local))
    assert found.unused_files == local.unused_files
    assert {photo.file for photo in found.files} == {f"{uri}/{photo.path}" for photo in local.files}


def test_split_folders_below_a_single_folder(storage: Storage, tmp_path: Path) -> None:
    for path in ("set/train/a/1.jpg", "set/train/b/2.jpg", "set/val/a/3.jpg", "README.md"):
        storage.put(f"upload/{path}", path.encode())
    found = scan_photos(f"{storage.uri}/upload", tmp_path)
    assert [(photo.path, photo.class_name, photo.split) for photo in found.files] == [
        ("train/a/1.jpg", "a", "train"),
        ("train/b/2.jpg", "b", "train"),
        ("val/a/3.jpg", "a", "validation"),
    ]
    assert [file.path for file in found.unused_files] == ["README.md"]


@pytest.mark.slow
def test_workers_read_them_where_they_are(storage: Storage, photo_folder: Path, tmp_path: Path) -> None:
    photos = find_photos(DataSource(photos=storage.put_folder(photo_folder), data_dir=str(tmp_path / "data")))
    contents = [(photo_folder / photo.path).read_bytes() for photo in photos.splits["train"]]
    with TestPipeline() as pipeline:
        examples = pipeline | ListPhotos(photos, "train") | beam.Map(lambda example: example.SerializeToString())
        read = examples | beam.BatchElements() | beam.FlatMap(ReadPhotos(len(contents), remote=True))
        images = (
            read
            | beam.Map(tf.train.Example.FromString)
            | beam.Map(lambda example: example.features.feature[IMAGE_KEY].bytes_list.value[0])
        )
        assert_that(images, equal_to(contents))
    assert not (tmp_path / "data").exists()


def test_the_fingerprint_follows_the_photos(storage: Storage, photo_folder: Path, tmp_path: Path) -> None:
    uri = storage.put_folder(photo_folder)
    before = _fingerprint(tmp_path, uri)
    assert _fingerprint(tmp_path, uri, expected=before) == before
    photo = photo_folder / "red" / "red 00.jpg"
    storage.put("my photos/red/red 00.jpg", photo.read_bytes()[::-1])
    changed = _fingerprint(tmp_path, uri)
    storage.put("my photos/red/one more.jpg", photo.read_bytes())
    assert len({before, changed, _fingerprint(tmp_path, uri)}) == 3
    with pytest.raises(UserError, match=rf"the photos in {uri} have the fingerprint \w+, expected {before}"):
        _fingerprint(tmp_path, uri, expected=before)


def test_a_manifest_and_its_photos(storage: Storage, photo_folder: Path, tmp_path: Path) -> None:
    uri = storage.put_folder(photo_folder)
    rows = [f"{photo.parent.name}/{photo.name},{photo.parent.name}" for photo in sorted(photo_folder.rglob("*.jpg"))]
    rows = [row if row.startswith("red") else f"{uri}/{row}" for row in rows]
    here = photo_folder / "red" / "red 00.jpg"
    others = [f"{uri}/none.jpg,red", f"{storage.uri}/elsewhere/1.jpg,red", f"{storage.uri},red", f"{here},blue"]
    storage.put("my photos/labels.csv", "\n".join(["image,label", *rows, *others]).encode())
    found = scan_photos(f"{uri}/labels.csv", tmp_path)
    assert class_counts_of(found) == {"blue": 21, "green": 20, "red": 20}
    expected = {row.split(",")[0] for row in rows}
    expected = {path if path.startswith(uri) else f"{uri}/{path}" for path in expected} | {str(here)}
    assert {photo.file for photo in found.files} == expected
    assert reasons_of(found) == dict.fromkeys((other.split(",")[0] for other in others[:3]), "missing_file")
    assert scan_photos(f"{uri}/labels.csv", tmp_path).fingerprint == found.fingerprint


def test_an_archive_is_fetched(storage: Storage, photo_folder: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "flowers"), "zip", photo_folder))
    storage.put("flowers.zip", archive.read_bytes())
    fetched = scan_photos(f"{storage.uri}/flowers.zip", tmp_path / "cache")
    assert (fetched.name, fetched.fingerprint) == ("flowers", scan_photos(photo_folder, tmp_path).fingerprint)


def test_looking_reads_no_photo(s3_storage: Storage, photo_folder: Path, tmp_path: Path, asked: list[str]) -> None:
    uri = s3_storage.put_folder(photo_folder)
    rows = [f"{photo.relative_to(photo_folder)},{photo.parent.name}" for photo in photo_folder.rglob("*.jpg")]
    s3_storage.put("my photos/labels.csv", "\n".join(["path,label", *rows]).encode())
    asked.clear()
    scan_photos(uri, tmp_path)
    assert asked == ["GET listing"]
    asked.clear()
    scan_photos(f"{uri}/labels.csv", tmp_path)
    assert asked == ["GET object", "GET listing"]


@pytest.mark.slow
def test_few_photos_among_many_are_not_looked_for_one_by_one(s3_storage: Storage, asked: list[str]) -> None:
    from moto.s3.models import s3_backends

    for number in range(2500):
        # Past HTTP, which would take a minute.
        server = s3_backends["123456789012"]["aws"]
        server.put_object(s3_storage.uri.removeprefix("s3://"), f"set/{number:04}.jpg", b"")
    uris = [f"{s3_storage.uri}/set/{number:04}.jpg" for number in range(3000)]
    for wanted, most in ((uris, 6), ([*uris[5:9], uris[2300], uris[2900]], 3), (uris[:1], 1), ([], 0)):
        asked.clear()
        assert set(find_objects(wanted)) == set(wanted) & set(uris[:2500])
        assert len(asked) <= most


def test_nothing_there(storage: Storage, tmp_path: Path) -> None:
    for name in ("elsewhere", "elsewhere.csv", "elsewhere.zip"):
        with pytest.raises(UserError, match=r"^(no photos at|cannot read photos from) '.*elsewhere") as error:
            scan_photos(f"{storage.uri}/{name}", tmp_path)
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_that_is_not_there(scheme: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    request.getfixturevalue(f"{scheme}_storage")
    with pytest.raises(UserError, match=rf"^cannot read photos from '{scheme}://no-such-bucket/photos': .*$"):
        scan_photos(f"{scheme}://no-such-bucket/photos", tmp_path)


def test_no_credentials(s3_storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))  # where profiles are
    client_of.cache_clear()
    with pytest.raises(UserError, match=r"^cannot read photos from .*no credentials were found: set AWS_ACCESS_KEY_ID"):
        scan_photos(f"{s3_storage.uri}/photos", tmp_path)


@pytest.fixture
def guarded(s3_storage: Storage, s3_server: str) -> Iterator[str]:
    """The URI of a bucket whose server refuses keys that it does not know."""
    requests.post(f"{s3_server}/moto-api/reset-auth", data="0", timeout=10)
    yield s3_storage.uri
    requests.post(f"{s3_server}/moto-api/reset-auth", data="inf", timeout=10)


def test_access_denied(guarded: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^cannot read photos from '{guarded}/photos': .*InvalidAccessKeyId.*$"):
        scan_photos(f"{guarded}/photos", tmp_path)


@pytest.mark.slow
def test_a_photo_that_goes_meanwhile(s3_storage: Storage, photo_folder: Path, tmp_path: Path) -> None:
    uri = s3_storage.put_folder(photo_folder)
    photos = find_photos(DataSource(photos=uri, data_dir=str(tmp_path)))
    delete_object(photos.splits["train"][0].file)
    with pytest.raises(Exception, match=rf"cannot read the photo '{uri}/.*NoSuchKey"), TestPipeline() as pipeline:
        listed = pipeline | ListPhotos(photos, "train") | beam.Map(lambda example: example.SerializeToString())
        _ = listed | beam.BatchElements() | beam.FlatMap(ReadPhotos(1, remote=True))
