"""Tests of `tensorboard` with a real TensorBoard server."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pytest
from recorded_runs import RecordedRuns
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from components.common.errors import UserError
from pipeline.cli.tensorboard import log_folders
from pipeline.records.connection import sqlite_config
from pipeline.records.store import open_store


def _write_loss(folder: Path) -> None:
    writer = EventFileWriter(str(folder))
    writer.add_event(Event(step=1, summary=Summary(value=[Summary.Value(tag="loss", simple_value=0.5)])))
    writer.close()


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as response:
        return json.loads(response.read())


@pytest.fixture
def trained(two_runs: RecordedRuns) -> RecordedRuns:
    for run_id in ("run-a", "run-b"):
        _write_loss(two_runs.output / "pipelines/flowers/Trainer/model_run" / run_id / "train")
    return two_runs


def test_folders_are_named_by_run_and_include_unfinished_training(trained: RecordedRuns) -> None:
    (trained.output / "training/flowers/0123456789/logs").mkdir(parents=True)
    store = open_store(str(trained.output))
    folders = log_folders(store, [])
    assert list(folders) == ["run-a", "run-b", "flowers unfinished 012345"]
    assert list(log_folders(store, [store.run("run-b")])) == ["run-b"]


def test_fine_tuning_stands_beside_the_training_before_it(trained: RecordedRuns) -> None:
    trained.node("run-b", "Trainer.fine_tuning", {}, {"model_run": ("ModelRun", {})})
    store = open_store(str(trained.output))
    folders = log_folders(store, [store.run("run-b")])
    assert list(folders) == ["run-b", "run-b fine-tuning"]
    assert folders["run-b"].parts[-3] == "Trainer"
    assert folders["run-b fine-tuning"].parts[-3] == "Trainer.fine_tuning"


@pytest.mark.slow
def test_curves_of_every_run_are_served_until_it_is_ended(trained: RecordedRuns, unused_port: int) -> None:
    code = "import sys; from pipeline.cli.main import main; main(sys.argv[1:])"
    options = ["--output", str(trained.output), "--port", str(unused_port), "--host", "127.0.0.1"]
    process = subprocess.Popen([sys.executable, "-c", code, "tensorboard", *options])
    address = f"http://127.0.0.1:{unused_port}/data"
    try:
        deadline = time.monotonic() + 120
        runs: list[str] = []
        while len(runs) < 2 and time.monotonic() < deadline:
            time.sleep(0.5)
            try:
                runs = _get(f"{address}/runs")
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert process.poll() is None
        assert runs == ["run-a/train", "run-b/train"]
        assert "loss" in _get(f"{address}/plugin/scalars/tags")["run-a/train"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    with pytest.raises(urllib.error.URLError):
        _get(f"{address}/runs")


def test_without_a_training_there_is_nothing_to_open(tmp_path: Path) -> None:
    runs = RecordedRuns(mlmd.MetadataStore(sqlite_config(tmp_path / "metadata.sqlite")), tmp_path)
    runs.start("run-a")
    store = open_store(str(tmp_path))
    assert log_folders(store, []) == {}
    with pytest.raises(UserError, match="no run"):
        store.find_run("run-x")
