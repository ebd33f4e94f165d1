"""Tests of --metadata: its forms, its secrets, and a real gRPC server."""

from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import ml_metadata as mlmd
import pytest
from ml_metadata.metadata_store.pywrap.metadata_store_extension import metadata_store as serialized
from ml_metadata.proto import metadata_store_service_pb2 as service_pb
from ml_metadata.proto import metadata_store_service_pb2_grpc as service
from recorded_runs import RecordedRuns, predictions

from components.common.errors import UserError
from pipeline.records.connection import PASSWORD_VARIABLE, connect, connection_config, sqlite_config

_PASSWORD = "p@ss:w/rd"


def test_the_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, _PASSWORD)
    mysql = connection_config("mysql://me@db.example/flowers").mysql
    assert (mysql.host, mysql.port, mysql.database, mysql.user) == ("db.example", 3306, "flowers", "me")
    assert mysql.password == _PASSWORD
    postgresql = connection_config("postgresql://me@db.example:6543/flowers").postgresql
    assert (postgresql.host, postgresql.port, postgresql.dbname) == ("db.example", "6543", "flowers")
    assert (postgresql.user, postgresql.password) == ("me", _PASSWORD)


def test_localhost_with_a_port_is_no_socket_file() -> None:
    assert connection_config("mysql://me@localhost:3307/flowers").mysql.host == "127.0.0.1"


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UserError, match=PASSWORD_VARIABLE) as error:
        connection_config("mysql://me:secret@db.example/flowers")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "uri",
    ["mysql://db.example/flowers", "mysql://me@db.example", "grpc://host", "oracle://me@h/d", "x.sqlite", "sqlite"],
)
def test_other_forms_are_refused(uri: str) -> None:
    with pytest.raises(UserError, match="not of the form"):
        connection_config(uri)


def test_a_wrong_port_is_refused() -> None:
    with pytest.raises(UserError, match="port"):
        connection_config("mysql://me@host:99999/flowers")


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_a_server_that_is_not_there_is_reported_without_the_password(
    scheme: str, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, _PASSWORD)
    with pytest.raises(UserError, match="cannot open the metadata store") as error:
        connect(f"{scheme}://me@127.0.0.1:{unused_port}/flowers")
    assert _PASSWORD not in str(error.value)


def test_reading_makes_no_sqlite_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no metadata store"):
        connection_config(f"sqlite:{tmp_path / 'none.sqlite'}", read_only=True)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_store_is_reported(tmp_path: Path) -> None:
    (tmp_path / "metadata.sqlite").write_text("not a database " * 100)
    with pytest.raises(UserError, match="cannot open the metadata store"):
        connect(f"sqlite:{tmp_path / 'metadata.sqlite'}", read_only=True)


class _Servicer(service.MetadataStoreServiceServicer):
    """Hands every request to ML Metadata's C++ store, as its own gRPC server (no part of the wheel) does."""

    def __init__(self, path: Path):
        self._store = mlmd.MetadataStore(sqlite_config(path))
        for method in service_pb.DESCRIPTOR.services_by_name["MetadataStoreService"].methods:
            if hasattr(serialized, method.name):
                setattr(self, method.name, self._handler(method))

    def _handler(self, method: Any) -> Callable[[Any, Any], Any]:
        response_class = getattr(service_pb, method.output_type.name)

        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            response = response_class()
            try:
                self._store._pywrap_cc_call(getattr(serialized, method.name), request, response)
            except mlmd.errors.StatusError as error:
                code = next(code for code in grpc.StatusCode if code.value[0] == error.error_code)
                context.abort(code, error.message)
            return response

        return handle


@pytest.fixture
def grpc_address(tmp_path: Path) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    service.add_MetadataStoreServiceServicer_to_server(_Servicer(tmp_path / "served.sqlite"), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}"
    server.stop(None)


def test_runs_are_recorded_and_read_through_grpc(grpc_address: str, tmp_path: Path, ask: Callable[..., Any]) -> None:
    runs = RecordedRuns(connect(grpc_address), tmp_path / "output")
    runs.add("run-a", predictions(range(4)))
    (run,) = ask("runs", "--metadata", grpc_address)
    assert (run["run_id"], run["test_accuracy"], run["blessed"]) == ("run-a", 0.96, True)
