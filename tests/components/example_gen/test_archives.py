"""Photo archives that somebody made with bad intentions, or that arrived broken."""

import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from example_gen_photos import jpeg_bytes, write_tgz

from components.errors import UserError
from components.example_gen import archives
from components.example_gen.archives import extract_archive

GOOD = {"a/1.jpg": b"one", "b/2.jpg": b"two"}


def extract(archive: Path) -> Path:
    """Extracts into a folder of its own, and checks that nothing appears beside it."""
    folder = archive.parent / "out" / "folder"
    try:
        extract_archive(archive, folder, lambda path: path.suffix == ".jpg")
    finally:
        assert [path.name for path in folder.parent.iterdir()] == ["folder"]
        assert {path.name for path in archive.parent.iterdir()} <= {archive.name, "out", "victim"}
    return folder


def tar_with(archive: Path, entry: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return archive


@pytest.mark.parametrize("name", ["/etc/cron.d/x.jpg", "../x.jpg", "a/../../x.jpg", "a/../../../../../../../tmp/x.jpg"])
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, name: str):
    with pytest.raises(UserError, match="points outside"):
        extract(tar_with(tmp_path / "photos.tgz", tarfile.TarInfo(name), b"evil"))
    (tmp_path / "photos.tgz").unlink()
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zip_file:
        zip_file.writestr(name, b"evil")
    with pytest.raises(UserError, match="points outside"):
        extract(tmp_path / "photos.zip")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes):
    entry = tarfile.TarInfo("a/1.jpg")
    entry.type, entry.linkname = kind, "/etc/passwd"
    with pytest.raises(UserError, match="a link or a device"):
        extract(tar_with(tmp_path / "photos.tgz", entry))


def test_symbolic_links_in_a_zip_are_refused(tmp_path: Path):
    info = zipfile.ZipInfo("a/1.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zip_file:
        zip_file.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="a link or a device"):
        extract(tmp_path / "photos.zip")


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    monkeypatch.setattr(archives._Budget, "remaining_entries", 3)
    monkeypatch.setattr(archives._Budget.__init__, "__defaults__", (3,))
    with pytest.raises(UserError, match="more than 3 entries"):
        extract(write_tgz(tmp_path / "photos.tgz", {f"a/{index}.jpg": b"" for index in range(4)}))


@pytest.mark.parametrize("wanted", [True, False])
def test_bombs_are_refused_before_they_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool):
    monkeypatch.setattr(archives, "FREE_EXPANSION_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w", zipfile.ZIP_DEFLATED) as zip_file:
        zip_file.writestr("a/bomb.jpg", bytes(2**24))
    with pytest.raises(UserError, match="zip bomb"):
        extract(tmp_path / "photos.zip")
    assert (tmp_path / "out/folder/a/bomb.jpg").stat().st_size <= 2**21
