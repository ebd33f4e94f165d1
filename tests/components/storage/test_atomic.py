"""Files that are there whole or not at all."""

import threading
from pathlib import Path

import pytest

from components.storage.atomic import exclusive_lock, remove_unfinished, write_atomically


def test_the_text_is_written_as_it_is(tmp_path: Path):
    write_atomically(tmp_path / "record.json", "first\r\n")
    write_atomically(tmp_path / "record.json", "größer\r\n")
    assert (tmp_path / "record.json").read_bytes() == "größer\r\n".encode()
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path):
    write_atomically(tmp_path / "record.json", "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "record.json", "new \ud800")
    assert (tmp_path / "record.json").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path: Path):
    write_atomically(tmp_path / "record.json", "old")
    with (tmp_path / "record.json").open() as reader:
        write_atomically(tmp_path / "record.json", "new")
        assert reader.read() == "old"


def test_a_folder_of_that_name_stays(tmp_path: Path):
    (tmp_path / "record.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "record.json", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


def test_files_of_killed_writers_are_removed(tmp_path: Path):
    write_atomically(tmp_path / "new folder" / "record.json", b"\xff")
    (tmp_path / "new folder" / ".record.json.0123.tmp").write_bytes(b"hal")
    remove_unfinished(tmp_path / "new folder")
    assert [file.name for file in (tmp_path / "new folder").iterdir()] == ["record.json"]


def test_one_holds_a_lock(tmp_path: Path):
    lock = tmp_path / "cache" / "entry.lock"
    entered = threading.Event()

    def enter() -> None:
        with exclusive_lock(lock):
            entered.set()

    with exclusive_lock(lock):
        waiting = threading.Thread(target=enter)
        waiting.start()
        assert not entered.wait(0.2)
    waiting.join()
    assert entered.is_set()
