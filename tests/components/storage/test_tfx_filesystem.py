"""TFX's file operations on an S3-compatible server, and on a scheme that is a new entry of the table."""

from pathlib import Path

import pytest
from obstore.store import MemoryStore
from tfx.dsl.io import fileio, filesystem
from tfx.utils import io_utils

from components.modeling.backbones.cache import content_digest
from components.storage import objects, tfx_filesystem


@pytest.fixture(params=["s3", "memory"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty bucket that TFX reads."""
    if request.param == "s3":
        uri: str = request.getfixturevalue("s3_bucket")
    else:
        monkeypatch.setitem(objects.SCHEMES, "memory", objects.Scheme(lambda _: objects.ObjectStore(MemoryStore())))
        monkeypatch.setattr(tfx_filesystem.BucketFilesystem, "SUPPORTED_SCHEMES", ["memory://"])
        objects.client_of.cache_clear()
        uri = "memory://flowers"
    tfx_filesystem.register_buckets()
    return uri


def _files(folder: str) -> set[str]:
    return {f"{folder}/{name}" for name, _ in objects.list_objects(folder)}


def _write(path: str, content: bytes) -> None:
    with fileio.open(path, "wb") as file:
        file.write(content)


def test_what_is_written_is_read(bucket: str) -> None:
    _write(f"{bucket}/a/bytes", b"\0\xff")
    with fileio.open(f"{bucket}/a/text", "w") as file:
        file.write("ü\n")
    with fileio.open(f"{bucket}/a/text", "r") as file:
        assert file.read() == "ü\n"
    with fileio.open(f"{bucket}/a/bytes", "rb") as file:
        assert file.read() == b"\0\xff"
    with pytest.raises(filesystem.NotFoundError):
        fileio.open(f"{bucket}/a/none", "rb")


def test_a_folder_is_there_as_long_as_something_is_in_it(bucket: str) -> None:
    fileio.makedirs(f"{bucket}/a")
    assert not fileio.exists(f"{bucket}/a")
    _write(f"{bucket}/a/b/1", b"")
    _write(f"{bucket}/a/2", b"")
    assert fileio.isdir(f"{bucket}/a")
    assert not fileio.isdir(f"{bucket}/a/2")
    assert fileio.listdir(f"{bucket}/a") == ["b", "2"]
    assert fileio.glob(f"{bucket}/a/*") == [f"{bucket}/a/2"]
    assert list(fileio.walk(f"{bucket}/a")) == [(f"{bucket}/a", ["b"], ["2"]), (f"{bucket}/a/b", [], ["1"])]
    fileio.rmtree(f"{bucket}/a")
    assert not fileio.exists(f"{bucket}/a")
    with pytest.raises(filesystem.NotFoundError):
        fileio.listdir(f"{bucket}/a")


@pytest.mark.usefixtures("s3_bucket")
def test_what_s3_refuses_is_an_error_of_one_line() -> None:
    tfx_filesystem.register_buckets()
    with pytest.raises(OSError, match=r"^s3://no-such-bucket/a: .*NoSuchBucket.*$"):
        fileio.exists("s3://no-such-bucket/a")


def test_names_that_begin_alike_are_told_apart(bucket: str) -> None:
    _write(f"{bucket}/model-old/1", b"")
    assert not fileio.exists(f"{bucket}/model")
    _write(f"{bucket}/model/1", b"")
    fileio.rmtree(f"{bucket}/model")
    assert fileio.exists(f"{bucket}/model-old/1")


def test_files_and_folders_are_renamed(bucket: str) -> None:
    _write(f"{bucket}/staging/x/1", b"one")
    _write(f"{bucket}/pointer.new", b"new")
    _write(f"{bucket}/pointer", b"old")
    fileio.rename(f"{bucket}/staging/x", f"{bucket}/7")
    assert (fileio.exists(f"{bucket}/staging"), fileio.listdir(f"{bucket}/7")) == (False, ["1"])
    with pytest.raises(OSError, match="exists already"):
        fileio.rename(f"{bucket}/pointer.new", f"{bucket}/pointer")
    fileio.rename(f"{bucket}/pointer.new", f"{bucket}/pointer", overwrite=True)
    with fileio.open(f"{bucket}/pointer") as file:
        assert file.read() == "new"
    with pytest.raises(filesystem.NotFoundError):
        fileio.remove(f"{bucket}/pointer.new")


def test_a_saved_model_appears_with_its_last_file(
    bucket: str, tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    io_utils.copy_dir(str(tiny_backbone), f"{bucket}/staging/x")
    copy, there = objects.copy_object, {}

    def note_what_is_there(source: str, target: str) -> None:
        there[target] = _files(f"{bucket}/7")
        copy(source, target)

    monkeypatch.setattr(objects, "copy_object", note_what_is_there)
    fileio.rename(f"{bucket}/staging/x", f"{bucket}/7")
    whole = _files(f"{bucket}/7")
    assert there[f"{bucket}/7/saved_model.pb"] == whole - {f"{bucket}/7/saved_model.pb"}


def test_a_copied_folder_has_the_same_digest(bucket: str, tiny_backbone: Path) -> None:
    io_utils.copy_dir(str(tiny_backbone), f"{bucket}/backbone")
    assert content_digest(f"{bucket}/backbone") == content_digest(str(tiny_backbone))
