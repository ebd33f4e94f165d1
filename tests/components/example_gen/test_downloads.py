"""The real tf_flowers builder, its archive served by a loopback server that may be slow to get it right."""

import hashlib
import http.server
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.datasets.tf_flowers import tf_flowers_dataset_builder

from components.common.errors import UserError
from components.example_gen import data_source, tfds_dataset
from components.example_gen.data_source import make_builder
from components.example_gen.options import DataSource
from components.example_gen.tfds_dataset import prepare_dataset

CLASS_NAMES = ("dandelion", "daisy", "tulips", "sunflowers", "roses")


class ArchiveServer(http.server.ThreadingHTTPServer):
    """Serves one archive. `faults` are what goes wrong, request by request, before all goes well."""

    def __init__(self, archive: bytes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.archive = archive
        self.faults: list[str] = []
        self.requests = 0
        self.gave_up = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/flower_photos.tgz"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ArchiveServer

    def do_GET(self) -> None:
        self.server.requests += 1
        fault = self.server.faults.pop(0) if self.server.faults else ""
        content = self.server.archive
        if fault in {"503", "404"}:
            self.send_error(int(fault))
            return
        if fault == "redirect":
            self.send_response(302)
            self.send_header("Location", self.server.url)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == "corrupted":
            content = content[:-50] + bytes(50)
        if fault == "slow":
            for start in range(0, len(content), len(content) // 10):
                self.wfile.write(content[start : start + len(content) // 10])
                self.wfile.flush()
                self.server.gave_up.wait(0.02)
            return
        self.wfile.write(content[: len(content) // 2] if fault in {"interrupted", "stalled"} else content)
        if fault == "stalled":
            self.wfile.flush()
            self.server.gave_up.wait(30)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def archive(tmp_path_factory, write_tgz, encode_image) -> Path:
    files = {"flower_photos/LICENSE.txt": b"licence"}
    for label, name in enumerate(CLASS_NAMES):
        for index in range(4):
            files[f"flower_photos/{name}/{index}.jpg"] = encode_image(seed=10 * label + index)
    return write_tgz(tmp_path_factory.mktemp("archive") / "flower_photos.tgz", files)


@pytest.fixture
def server(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    """The server, as the address and with the checksum that tf_flowers has registered."""
    content = archive.read_bytes()
    with ArchiveServer(content) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(tf_flowers_dataset_builder, "_URL", server.url)
        info = UrlInfo(size=len(content), checksum=hashlib.sha256(content).hexdigest(), filename="flower_photos.tgz")
        monkeypatch.setitem(tf_flowers_dataset_builder.Builder.url_infos, server.url, info)
        monkeypatch.setattr(tfds_dataset.time, "sleep", lambda seconds: None)
        monkeypatch.setattr(tfds_dataset, "STALLED_SECONDS", 1.0)
        yield server
        server.gave_up.set()
        server.shutdown()


def leftovers(data_dir: Path) -> list[Path]:
    return [path for path in data_dir.rglob("*") if ".tmp." in path.name or path.name.startswith("incomplete.")]


def prepare(data_dir: Path) -> tfds.core.DatasetBuilder:
    return prepare_dataset(make_builder(DataSource(dataset="tf_flowers", data_dir=str(data_dir))))


def test_tf_flowers_is_downloaded_and_prepared_once(tmp_path: Path, server: ArchiveServer, archive: Path, capsys):
    builder = prepare(tmp_path)
    assert builder.info.splits["train"].num_examples == 20
    assert data_source.describe_builder(builder).class_names == CLASS_NAMES
    assert prepare(tmp_path).info.splits["train"].num_examples == 20
    assert server.requests == 1
    assert not leftovers(tmp_path)
    assert capsys.readouterr().out == ""


def test_photos_arrive_unchanged(tmp_path: Path, server: ArchiveServer, archive: Path, encode_image):
    decoders = {"image": tfds.decode.SkipDecoding()}
    dataset = prepare(tmp_path).as_dataset(split="train", decoders=decoders)
    received = {(int(example["label"]), example["image"].numpy()) for example in dataset}
    sent = {(label, encode_image(seed=10 * label + index)) for label in range(5) for index in range(4)}
    assert received == sent


@pytest.mark.parametrize(
    "faults", [["503"], ["redirect"], ["interrupted"], ["stalled"], ["corrupted", "503", "interrupted"]]
)
def test_passing_faults_are_retried(tmp_path: Path, server: ArchiveServer, faults: list[str]):
    server.faults = list(faults)
    assert prepare(tmp_path).info.splits["train"].num_examples == 20
    assert server.requests == len(faults) + 1
    assert not leftovers(tmp_path)


def test_a_slow_server_is_waited_for(tmp_path: Path, server: ArchiveServer):
    server.faults = ["slow"]
    assert prepare(tmp_path).info.splits["train"].num_examples == 20
    assert server.requests == 1


@pytest.mark.parametrize(
    ("faults", "message", "requests"),
    [
        (["404"], "HTTP code: 404", 1),
        (["corrupted"] * 3, "SHA-256", 3),
        (["interrupted"] * 3, "cannot download tf_flowers", 3),
    ],
)
def test_lasting_faults_end_with_one_line(tmp_path: Path, server: ArchiveServer, faults, message: str, requests: int):
    server.faults = list(faults)
    with pytest.raises(UserError, match=message) as error:
        prepare(tmp_path)
    assert "--preset quickstart" in str(error.value)
    assert "`--photos flower_photos.tgz` has the same photos, but not TFDS's order" in str(error.value)
    assert f"put flower_photos.tgz into {tmp_path}/downloads/manual" in str(error.value)
    assert "\n" not in str(error.value)
    assert server.requests == requests
    assert not leftovers(tmp_path)
    assert prepare(tmp_path).info.splits["train"].num_examples == 20


def test_no_network_ends_with_one_line(tmp_path: Path, server: ArchiveServer, caplog: pytest.LogCaptureFixture):
    server.shutdown()
    server.server_close()
    with caplog.at_level(logging.INFO, "components"), pytest.raises(UserError, match="no connection to http://127"):
        prepare(tmp_path)
    assert sum("trying again" in record.message for record in caplog.records) == tfds_dataset.ATTEMPTS - 1


def test_a_file_that_is_there_already_is_checked_and_used(tmp_path: Path, server: ArchiveServer, archive: Path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "flower_photos.tgz").write_bytes(b"another file")
    with pytest.raises(UserError, match=r"manual/flower_photos\.tgz does not have the registered SHA-256"):
        prepare(tmp_path)
    (manual / "flower_photos.tgz").write_bytes(archive.read_bytes())
    assert prepare(tmp_path).info.splits["train"].num_examples == 20
    assert server.requests == 0


def test_an_incomplete_copy_is_prepared_again_without_downloading(tmp_path: Path, server: ArchiveServer):
    builder = prepare(tmp_path)
    for shard in builder.info.splits["train"].filepaths:
        shard.unlink()
    assert len(list(prepare(tmp_path).as_dataset(split="train"))) == 20
    assert server.requests == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot prepare tf_flowers in"):
        prepare(tmp_path / "file")
