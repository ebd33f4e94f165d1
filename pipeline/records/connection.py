"""ML Metadata's address as one line: `sqlite:PATH`, `mysql://`, `postgresql://` or `grpc://`.

Passwords come from the environment only: a URL appears in shell histories, process lists and logs.
"""

import os
import time
from pathlib import Path
from typing import TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from components.common.errors import UsageError, UserError

PASSWORD_VARIABLE = "FLOWERS_METADATA_PASSWORD"  # noqa: S105  (a variable's name)
_FORMS = "sqlite:PATH, mysql://USER@HOST[:PORT]/DATABASE, postgresql://USER@HOST[:PORT]/DATABASE or grpc://HOST:PORT"
# What to check; the client libraries rarely say why they could not connect.
_DATABASE_HINT = (
    "; check that the server is running there, that the user may create or use the database, and that "
    f"{PASSWORD_VARIABLE} contains the user's password"
)
_HINTS = {
    "grpc": "; is ML Metadata's gRPC server running there?",
    "mysql": f"{_DATABASE_HINT} (MySQL 8 users need mysql_native_password)",
    "postgresql": _DATABASE_HINT,
}
_GRPC_TIMEOUT_S = 60.0
_BUSY_TIMEOUT_S, _BUSY_PAUSE_S = 10.0, 0.1

ConnectionConfig: TypeAlias = pb.ConnectionConfig | pb.MetadataStoreClientConfig


def sqlite_config(path: Path, read_only: bool = False) -> pb.ConnectionConfig:
    """Returns the connection to a SQLite file; creates the file and its folder unless `read_only`."""
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    if read_only:
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
        return config
    path.parent.mkdir(parents=True, exist_ok=True)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


def connection_config(uri: str, read_only: bool = False) -> ConnectionConfig:
    """Turns an address into ML Metadata's connection configuration, which may contain the password: do not print it.

    A database's password comes from FLOWERS_METADATA_PASSWORD. `read_only` opens a SQLite file without creating or
    changing it; for servers, the user's rights decide. Raises UserError for an address of another form.
    """
    if uri.startswith("sqlite:"):
        path = Path(uri.removeprefix("sqlite:")).expanduser().absolute()
        if read_only and not path.is_file():
            raise UsageError(f"no metadata store at {path}: give the --output of a run, or start one")
        return sqlite_config(path, read_only)
    parts = urlsplit(uri)
    if parts.password is not None:
        raise UsageError(f"--metadata contains a password: remove it from the URL and set {PASSWORD_VARIABLE} instead")
    if parts.scheme == "grpc" and parts.hostname and _port(parts, 0):
        return pb.MetadataStoreClientConfig(
            host=parts.hostname, port=_port(parts, 0), client_timeout_sec=_GRPC_TIMEOUT_S
        )
    database, user = parts.path.strip("/"), unquote(parts.username or "")
    if parts.scheme not in ("mysql", "postgresql") or not (parts.hostname and database and user):
        raise UsageError(f"--metadata {uri!r} is not of the form {_FORMS}")
    password = os.environ.get(PASSWORD_VARIABLE, "")
    config = pb.ConnectionConfig()
    if parts.scheme == "mysql":
        # The client library connects to "localhost" through a socket file and would ignore the port.
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
        config.mysql.host, config.mysql.port = host, _port(parts, 3306)
        config.mysql.database, config.mysql.user, config.mysql.password = database, user, password
    else:
        config.postgresql.host, config.postgresql.port = parts.hostname, str(_port(parts, 5432))
        config.postgresql.dbname, config.postgresql.user, config.postgresql.password = database, user, password
    return config


def connect(uri: str, read_only: bool = False) -> mlmd.MetadataStore:
    """Opens a store, see `connection_config`; raises UserError, without the password, if that fails."""
    config = connection_config(uri, read_only)
    try:
        store = _open(config)
        store.get_context_types()
    except (RuntimeError, mlmd.errors.StatusError) as error:
        hint = _HINTS.get(urlsplit(uri).scheme, "")
        raise UserError(f"cannot open the metadata store {uri}: {_reason(error)}{hint}") from None
    return store


def check_recordable(uri: str) -> None:
    """Raises UserError if ML Metadata cannot record runs there."""
    if uri.startswith("postgresql:"):
        raise UsageError(
            f"ml-metadata {mlmd.__version__} cannot record runs on PostgreSQL: it writes a text with a backslash, such "
            "as the Evaluator's configuration, as invalid SQL; use --metadata mysql://, grpc:// or sqlite:PATH"
        )


def _open(config: ConnectionConfig) -> mlmd.MetadataStore:
    """Opens a store; tries again while a run that is writing keeps it locked."""
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            return mlmd.MetadataStore(config)
        except RuntimeError as error:
            if "concurrent" not in str(error).lower() or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_PAUSE_S)


def _port(parts: SplitResult, default: int) -> int:
    try:
        return parts.port or default
    except ValueError:
        raise UsageError(f"--metadata: the port of {parts.hostname} is not a number from 1 to 65535") from None


def _reason(error: Exception) -> str:
    password = os.environ.get(PASSWORD_VARIABLE)
    text = " ".join(str(error).split())
    return text.replace(password, "***") if password else text
