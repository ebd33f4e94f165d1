"""A full disk, folders that cannot be written, a locked store: one line each, and nothing is lost."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killable_run import KillableRun, resolving
from pipeline_configs import make_config

from components.common.errors import UserError
from components.modeling.backbones.loading import load_backbone
from components.photos.source import scan_photos
from pipeline.cli.main import main
from pipeline.config import PipelineConfig
from pipeline.local_run.recovery import recovering


def _can_mount() -> bool:
    command = ["unshare", "--mount", "true"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )


needs_mounts = pytest.mark.skipif(not _can_mount(), reason="only root may mount file systems")


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def one_line_error(printed: str) -> str:
    """The error a user sees; everything else on the screen is progress."""
    assert "Traceback" not in printed
    assert "Logging error" not in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert printed.rstrip().endswith(line)
    return line


@pytest.mark.slow
@needs_mounts
def test_full_disk(tmp_path: Path, photo_folder: Path, tiny_backbone: Path) -> None:
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=800k", "tmpfs") as small:
        run = KillableRun(small / "output", photo_folder, tiny_backbone)
        status, printed = run.finish()
        assert status == 1
        assert "the disk is full: free some space" in one_line_error(printed)
        finished = run.completed()
        assert "TfdsExampleGen" in finished
        assert "Pusher" not in finished
        subprocess.run(["mount", "-o", "remount,size=50m", str(small)], check=True)
        # That a run finishes after such a start is shown by `test_kill.py`.
        run.kill_at(resolving("ImageSchemaGen"))
        assert run.completed().count("TfdsExampleGen") == 1
        assert run.completed().count("ImageValidator") == 1


@needs_mounts
def test_a_full_disk_before_anything_is_there(
    tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=4k,nr_inodes=3", "tmpfs") as small:
        assert exit_status("--photos", str(photo_folder), "--output", str(small / "output")) == 1
    assert "No space left on device; choose another" in one_line_error(capsys.readouterr().err)


@needs_mounts
def test_a_read_only_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mounted(tmp_path / "read only", "-t", "tmpfs", "-o", "ro", "tmpfs") as folder:
        assert exit_status("--output", str(folder / "output")) == 1
    assert "Read-only file system; choose another folder" in one_line_error(capsys.readouterr().err)


@pytest.mark.slow
@needs_mounts
def test_a_backbone_that_finds_no_room_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mounted(tmp_path / "cache", "-t", "tmpfs", "-o", "size=2m", "tmpfs") as cache:
        monkeypatch.setenv("TFHUB_CACHE_DIR", str(cache))
        with pytest.raises(UserError, match="make room there, or set TFHUB_CACHE_DIR") as error:
            load_backbone("efficientnet_lite0")
        assert list(cache.iterdir()) == []
    assert "\n" not in str(error.value)


def exit_status(*options: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["run", *options])
    return int(ended.value.code)


def test_an_output_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "output").write_text("mine")
    assert exit_status("--output", str(tmp_path / "output")) == 2
    assert "cannot write to --output" in one_line_error(capsys.readouterr().err)
    assert (tmp_path / "output").read_text() == "mine"


@needs_mounts
def test_photos_that_are_read_only(tmp_path: Path, photo_folder: Path) -> None:
    with mounted(tmp_path / "read only", "--bind", str(photo_folder)) as folder:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        assert len(scan_photos(folder, tmp_path / "data").files) == 60


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    return make_config(output=str(tmp_path))


@pytest.fixture
def hold_lock() -> Callable[[Path], contextlib.AbstractContextManager[None]]:
    """A function that locks a SQLite file from another process."""

    @contextlib.contextmanager
    def hold(path: Path) -> Iterator[None]:
        code = (
            "import sqlite3, sys\n"
            "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "database.execute('BEGIN EXCLUSIVE')\n"
            "print('locked', flush=True)\n"
            "sys.stdin.read()"
        )
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdout.readline() == "locked\n"
            yield
            process.stdin.close()

    return hold


@pytest.mark.slow
def test_a_store_locked_by_another_process(
    config: PipelineConfig, hold_lock: Callable[[Path], contextlib.AbstractContextManager[None]]
) -> None:
    store = Path(config.output) / "metadata.sqlite"
    with recovering(config):
        pass
    with hold_lock(store), pytest.raises(UserError, match="database is locked; end the process"), recovering(config):
        pass
    with recovering(config):
        pass


def test_a_store_that_is_none(config: PipelineConfig) -> None:
    store = Path(config.output) / "metadata.sqlite"
    store.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="is not a metadata store"), recovering(config):
        pass
    assert store.read_bytes() == b"no database" * 1000


def test_a_store_that_cannot_be_opened(config: PipelineConfig) -> None:
    (Path(config.output) / "metadata.sqlite").mkdir()
    with pytest.raises(UserError, match="unable to open database file"), recovering(config):
        pass
