"""Photo archives that somebody made with bad intentions, or that arrived broken."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from components.common.errors import UserError
from components.photos import archive as archives
from components.photos.archive import extract_archive


def extract(archive: Path) -> Path:
    """Extracts the JPEGs into a folder of their own, and checks that nothing appears beside it."""
    folder = archive.parent / "out" / "folder"
    try:
        extract_archive(archive, folder, lambda path: path.endswith(".jpg"))
    finally:
        assert [path.name for path in folder.parent.iterdir()] == ["folder"]
        assert {path.name for path in archive.parent.iterdir()} <= {"photos.tgz", "photos.zip", "out"}
    return folder


def tar_of(archive: Path, entry: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return archive


@pytest.mark.parametrize("name", ["/tmp/x.jpg", "../x.jpg", "a/../../x.jpg", "a/../x.jpg"])
def test_paths_that_may_leave_the_folder_are_refused(tmp_path: Path, name: str):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zip_file:
        zip_file.writestr(name, b"evil")
    for archive in (tmp_path / "photos.zip", tar_of(tmp_path / "photos.tgz", tarfile.TarInfo(name), b"evil")):
        with pytest.raises(UserError, match="points outside"):
            extract(archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_symbolic_links_and_devices_are_refused(tmp_path: Path, kind: bytes):
    entry = tarfile.TarInfo("a/1.jpg")
    entry.type, entry.linkname = kind, "/etc/passwd"
    with pytest.raises(UserError, match="a link or a device"):
        extract(tar_of(tmp_path / "photos.tgz", entry))


def tar_with_link(archive: Path, target: str, content: bytes = b"jpg", number: int = 1) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        photo = tarfile.TarInfo("./a/1.jpg")
        photo.size = len(content)
        tar.addfile(photo, io.BytesIO(content))
        for index in range(number):
            link = tarfile.TarInfo(f"b/{index}.jpg")
            link.type, link.linkname = tarfile.LNKTYPE, target
            tar.addfile(link)
    return archive


def test_hard_links_in_a_tar_are_photos(tmp_path: Path):
    folder = extract(tar_with_link(tmp_path / "photos.tgz", "./a/1.jpg"))
    assert (folder / "b/0.jpg").read_bytes() == b"jpg"
    assert (folder / "b/0.jpg").stat().st_nlink == 1


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/etc/passwd", "points outside"),
        ("../../photos.tgz", "points outside"),
        ("c/2.jpg", "'b/0.jpg' is a hard link to 'c/2.jpg', which is not a photo before it"),
        ("a", "not a photo before it"),
    ],
)
def test_hard_links_to_other_files_are_refused(tmp_path: Path, target: str, message: str):
    with pytest.raises(UserError, match=message):
        extract(tar_with_link(tmp_path / "photos.tgz", target))


def test_hard_links_count_as_the_bytes_that_they_become(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "FREE_EXPANSION_BYTES", 2**20)
    with pytest.raises(UserError, match="zip bomb"):
        extract(tar_with_link(tmp_path / "photos.tgz", "a/1.jpg", bytes(2**15), number=100))


def zip_without_utf8_flag(archive: Path, *names: bytes) -> Path:
    """Writes a zip as macOS and old versions of .NET do; zipfile itself writes the flag with names beyond ASCII."""
    placeholders = ["x" * (len(name) - 1) + str(index) for index, name in enumerate(names)]
    with zipfile.ZipFile(archive, "w") as zip_file:
        for placeholder in placeholders:
            zip_file.writestr(placeholder, b"jpg")
    content = archive.read_bytes()
    for placeholder, name in zip(placeholders, names, strict=True):
        content = content.replace(placeholder.encode(), name)
    archive.write_bytes(content)
    return archive


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rosé/日本.jpg".encode(), "rosé/日本.jpg"),
        (b"ros\x82/1.jpg", "rosé/1.jpg"),  # code page 437
        (b"flowers\\roses\\1.jpg", "flowers/roses/1.jpg"),
        ("flowers\\rosé\\1.jpg".encode(), "flowers/rosé/1.jpg"),
        (b"a/1\\2.jpg", "a/1\\2.jpg"),
    ],
)
def test_names_in_a_zip_are_read_as_they_were_meant(tmp_path: Path, name: bytes, expected: str):
    folder = extract(zip_without_utf8_flag(tmp_path / "photos.zip", name, b"b/1.jpg"))
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")} == {expected, "b/1.jpg"}


@pytest.mark.parametrize("name", [rb"..\..\evil.jpg", rb"a\..\..\evil.jpg", rb"\evil.jpg"])
def test_backslashes_may_not_leave_the_folder_either(tmp_path: Path, name: bytes):
    with pytest.raises(UserError, match="points outside"):
        extract(zip_without_utf8_flag(tmp_path / "photos.zip", name))


def test_empty_folders_of_an_archive_are_listed(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zip_file:
        for name in ("a/", "a/b/", "c/", "d/", "a/1.jpg", "d/notes.txt"):
            zip_file.writestr(name, b"")
        zip_file.writestr("e\\f\\", b"")
    found = extract_archive(tmp_path / "photos.zip", tmp_path / "out", lambda path: path.endswith(".jpg"))
    assert found == ["d/notes.txt", "a/b/", "c/", "e/f/"]


def test_symbolic_links_in_a_zip_are_refused(tmp_path: Path):
    info = zipfile.ZipInfo("a/1.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zip_file:
        zip_file.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="a link or a device"):
        extract(tmp_path / "photos.zip")


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tgz):
    archive = write_tgz(tmp_path / "photos.tgz", {f"a/{index}.jpg": b"" for index in range(4)})
    monkeypatch.setattr(archives, "MAX_ENTRIES", 4)
    assert len(list(extract(archive).rglob("*.jpg"))) == 4
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    with pytest.raises(UserError, match="more than 3 entries"):
        extract(archive)


@pytest.mark.parametrize("name", ["a/bomb.jpg", "a/bomb.bin"])
def test_bombs_are_refused_before_they_fill_the_disk(tmp_path, monkeypatch, write_tgz, name: str):
    monkeypatch.setattr(archives, "FREE_EXPANSION_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w", zipfile.ZIP_DEFLATED) as zip_file:
        zip_file.writestr(name, bytes(2**24))
    for archive in (tmp_path / "photos.zip", write_tgz(tmp_path / "photos.tgz", {name: bytes(2**24)})):
        with pytest.raises(UserError, match="zip bomb"):
            extract(archive)
    assert not list((tmp_path / "out").rglob("bomb*"))


def test_a_zip_entry_that_lies_about_its_size_is_corrupt(tmp_path: Path):
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zip_file:
        zip_file.writestr("a/1.jpg", bytes(2**20))
    archive.write_bytes(archive.read_bytes().replace((2**20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(UserError, match="cannot unpack"):
        extract(archive)
    assert (tmp_path / "out/folder/a/1.jpg").stat().st_size <= 10


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_archives_are_corrupt(tmp_path: Path, write_tgz, encode_image, share: float):
    files = {f"a/{index}.jpg": encode_image(seed=index) for index in range(9)}
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zip_file:
        for name, content in files.items():
            zip_file.writestr(name, content)
    for archive in (tmp_path / "photos.zip", write_tgz(tmp_path / "photos.tgz", files)):
        archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
        with pytest.raises(UserError, match=r"cannot unpack '.*/photos\..*', expected an intact"):
            extract(archive)


def test_flipped_bits_are_found(tmp_path: Path, write_tgz, encode_image):
    archive = write_tgz(tmp_path / "photos.tgz", {f"a/{index}.jpg": encode_image(seed=index) for index in range(9)})
    content = bytearray(archive.read_bytes())
    content[-6] ^= 1  # The checksum behind tar's end mark.
    archive.write_bytes(content)
    with pytest.raises(UserError, match="cannot unpack"):
        extract(archive)


def test_an_encrypted_zip_is_refused(tmp_path: Path):
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as zip_file:
        zip_file.writestr("a/1.jpg", b"secret")
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(UserError, match="encrypted"):
        extract(archive)


def test_current_folder_entries_and_executables_are_harmless(tmp_path: Path, write_tgz):
    archive = tmp_path / "photos.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        folder = tarfile.TarInfo(".")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        photo = tarfile.TarInfo("./a/1.jpg")
        photo.mode, photo.size = 0o6777, 3
        tar.addfile(photo, io.BytesIO(b"jpg"))
    photo_path = extract(archive) / "a" / "1.jpg"
    assert photo_path.read_bytes() == b"jpg"
    assert not photo_path.stat().st_mode & 0o7111
