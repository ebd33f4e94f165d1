"""Storages on loopback servers, empty, each with a function that puts files into it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_storages import Storage, put_raw, webhdfs

from components.storage import objects


@pytest.fixture(params=["s3", "gs", "hdfs"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """Each of the storages."""
    found: Storage = request.getfixturevalue(f"{request.param}_storage")
    return found


@pytest.fixture
def s3_storage(s3_bucket: str) -> Storage:
    return Storage(s3_bucket, lambda path, content: objects.write_object(f"{s3_bucket}/{path}", content))


@pytest.fixture
def gs_storage(s3_bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Google Cloud Storage's XML API, which is read without credentials."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", s3_server)
    uri = s3_bucket.replace("s3://", "gs://")
    return Storage(uri, lambda path, content: put_raw(f"{uri}/{path}", content, ACL="public-read"))


@pytest.fixture
def hdfs_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    folder = tmp_path / "hdfs"

    def put(path: str, content: bytes) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        before = (folder / path).stat().st_mtime_ns if (folder / path).exists() else 0
        (folder / path).write_bytes(content)
        # WebHDFS tells milliseconds.
        os.utime(folder / path, ns=(before, max(before + 10**6, (folder / path).stat().st_mtime_ns)))

    with webhdfs(folder) as port:
        monkeypatch.setenv("HDFS_PORT", str(port))
        objects.client_of.cache_clear()
        yield Storage("hdfs://127.0.0.1", put)
    objects.client_of.cache_clear()
