"""Where an interrupted training is kept."""

import shutil
from pathlib import Path

import pytest

from components.modeling.work_dir import remove_work_dir


def test_a_kill_while_the_folder_is_removed_leaves_nothing_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_dir = tmp_path / "key"
    (work_dir / "latest").mkdir(parents=True)
    (work_dir / "history.json").write_text("[]")

    def killed(folder: Path) -> None:
        (folder / "history.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_work_dir(work_dir)
    assert not work_dir.exists(), "a retry would resume from what is left of it"
    assert [path.suffix for path in tmp_path.iterdir()] == [".finished"], "the next run removes it"
