"""Tests against real database servers, each started with its own data folder and port."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as pb
from recorded_runs import RecordedRuns, predictions

from components.common.errors import UserError
from pipeline.records.connection import PASSWORD_VARIABLE, check_recordable, connect

_PASSWORD = "only-in-the-environment"
_USER = "mlmd"


def _binary(name: str) -> str:
    """Path of a server program; Debian keeps PostgreSQL's out of PATH."""
    candidates = [*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))), "/usr/sbin", os.environ["PATH"]]
    found = shutil.which(name, path=os.pathsep.join(candidates))
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install mariadb-server postgresql)")
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path (sockets allow about 100 characters) that an unprivileged server may write to."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        if os.geteuid() == 0:
            os.chown(path, _server_user().pw_uid, _server_user().pw_gid)
        yield path


def _server_user() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def _run(*command: str | Path, wait: bool = True) -> "subprocess.Popen[bytes]":
    """Starts a program, as an unprivileged user when the tests run as root: both servers insist on that."""
    user = {"user": "nobody", "group": _server_user().pw_gid} if os.geteuid() == 0 else {}
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
    if wait and process.wait():
        raise RuntimeError(f"{command[0]} failed with exit status {process.returncode}")
    return process


@contextlib.contextmanager
def _serving(*command: str | Path, stop: signal.Signals = signal.SIGTERM) -> Iterator[None]:
    process = _run(*command, wait=False)
    try:
        yield
    finally:
        process.send_signal(stop)
        process.wait(timeout=60)


@pytest.fixture
def mariadb(folder: Path, unused_port: int) -> Iterator[str]:
    install, server = _binary("mariadb-install-db"), _binary("mariadbd")
    data = folder / "data"
    _run(install, "--no-defaults", f"--datadir={data}", "--skip-test-db", "--auth-root-authentication-method=normal")
    setup = folder / "setup.sql"
    # One statement a line.
    setup.write_text(
        f"CREATE USER {_USER}@'127.0.0.1' IDENTIFIED BY '{_PASSWORD}';\n"
        f"GRANT ALL ON flowers.* TO {_USER}@'127.0.0.1';\n"
    )
    options = [f"--datadir={data}", f"--socket={folder}/s", f"--port={unused_port}", "--bind-address=127.0.0.1"]
    options += ["--skip-name-resolve", f"--pid-file={folder}/pid", f"--init-file={setup}"]
    with _serving(server, "--no-defaults", *options):
        yield f"mysql://{_USER}@127.0.0.1:{unused_port}/flowers"


@pytest.fixture
def postgresql(folder: Path, unused_port: int) -> Iterator[str]:
    initdb, server = _binary("initdb"), _binary("postgres")
    password = folder / "password"
    password.write_text(_PASSWORD)
    _run(initdb, "-D", folder / "data", "-U", _USER, "--auth=scram-sha-256", f"--pwfile={password}")
    options = ["-p", str(unused_port), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
    # SIGTERM would wait for clients to leave.
    with _serving(server, "-D", folder / "data", *options, stop=signal.SIGINT):
        yield f"postgresql://{_USER}@127.0.0.1:{unused_port}/flowers"


def test_runs_are_recorded_on_and_read_from_mariadb(
    mariadb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ask: Callable[..., Any]
) -> None:
    uri = mariadb
    monkeypatch.setenv(PASSWORD_VARIABLE, _PASSWORD)
    check_recordable(uri)
    runs = RecordedRuns(_connect_patiently(uri), tmp_path / "output")
    made = runs.add("run-a", predictions(range(4)))
    runs.add("run-b", predictions(range(12)), min_accuracy=0.9, baseline="run-a", examples=made["examples"])

    assert [(run["run_id"], run["blessed"]) for run in ask("runs", "--metadata", uri)] == [
        ("run-b", False),
        ("run-a", True),
    ]
    assert len(ask("why", "--metadata", uri)["checks"]) == 2
    assert "Trainer" in ask("lineage", "--metadata", uri, text=True)

    monkeypatch.setenv(PASSWORD_VARIABLE, "a-wrong-one")
    with pytest.raises(UserError, match="cannot open") as error:
        ask("runs", "--metadata", uri)
    assert "a-wrong-one" not in str(error.value)


def _connect_patiently(uri: str) -> Any:
    """Connects as soon as the server has started."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return connect(uri)
        except UserError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def test_postgresql_is_read_but_breaks_on_backslashes_so_runs_refuse_it(
    postgresql: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ask: Callable[..., Any]
) -> None:
    """Once the last part fails, ml-metadata is mended and the refusal can go."""
    monkeypatch.setenv(PASSWORD_VARIABLE, _PASSWORD)
    store = _connect_patiently(postgresql)
    RecordedRuns(store, tmp_path / "output").start("run-a")
    (run,) = ask("runs", "--metadata", postgresql)
    assert (run["run_id"], run["state"], run["dataset"]) == ("run-a", "interrupted", "flowers")

    type_id = store.put_artifact_type(pb.ArtifactType(name="Model"))
    artifact = pb.Artifact(type_id=type_id)
    artifact.custom_properties["eval_config"].string_value = r'{"config": "\"name\": \"accuracy\""}'
    with pytest.raises(mlmd.errors.InternalError, match="syntax error"):
        store.put_artifacts([artifact])
    with pytest.raises(UserError, match="PostgreSQL"):
        check_recordable(postgresql)
