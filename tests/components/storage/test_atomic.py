"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from components.storage.atomic import write_whole


def test_the_text_is_written_as_it_is(tmp_path: Path):
    write_whole(tmp_path / "record.json", "first\r\n")
    write_whole(tmp_path / "record.json", "größer\r\n")
    assert (tmp_path / "record.json").read_bytes() == "größer\r\n".encode()
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path):
    write_whole(tmp_path / "record.json", "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "record.json", "new \ud800")
    assert (tmp_path / "record.json").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


def test_a_folder_of_that_name_stays(tmp_path: Path):
    (tmp_path / "record.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "record.json", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]
