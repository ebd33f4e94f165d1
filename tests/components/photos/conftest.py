"""Storages on loopback servers, empty, each with a function that puts files into it."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_storages import Storage, gcs_emulator, webhdfs

from components.storage import gcs_objects, hdfs_files, s3_objects


@pytest.fixture(params=["s3", "gs", "hdfs"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """Each of the storages."""
    found: Storage = request.getfixturevalue(f"{request.param}_storage")
    return found


@pytest.fixture
def s3_storage(s3_bucket: str) -> Storage:
    return Storage(s3_bucket, lambda path, content: s3_objects.put(f"{s3_bucket}/{path}", content))


@pytest.fixture
def gs_storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    pytest.importorskip("gcp_storage_emulator", reason="gcp-storage-emulator is not installed")
    name = f"flowers-{uuid.uuid4()}"
    with gcs_emulator(name) as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        gcs_objects.client.cache_clear()
        bucket = gcs_objects.client().bucket(name)
        yield Storage(f"gs://{name}", lambda path, content: bucket.blob(path).upload_from_string(content))
    gcs_objects.client.cache_clear()


@pytest.fixture
def hdfs_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    pytest.importorskip("hdfs", reason="the hdfs extra is not installed")
    folder = tmp_path / "hdfs"

    def put(path: str, content: bytes) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        before = (folder / path).stat().st_mtime_ns if (folder / path).exists() else 0
        (folder / path).write_bytes(content)
        # WebHDFS tells milliseconds.
        os.utime(folder / path, ns=(before, max(before + 10**6, (folder / path).stat().st_mtime_ns)))

    with webhdfs(folder) as port:
        monkeypatch.setenv("HDFS_PORT", str(port))
        hdfs_files.client.cache_clear()
        yield Storage("hdfs://127.0.0.1", put)
    hdfs_files.client.cache_clear()
