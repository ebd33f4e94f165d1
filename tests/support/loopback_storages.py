"""S3, Google Cloud Storage and WebHDFS on this machine's loopback address."""

import contextlib
import functools
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import requests


@dataclass(frozen=True)
class Storage:
    """An empty storage: its URI, and what puts a file there."""

    uri: str
    put: Callable[[str, bytes], None]

    def put_folder(self, folder: Path) -> str:
        """Puts all files below a folder into one of the same name, and returns its URI."""
        for file in (path for path in folder.rglob("*") if path.is_file()):
            self.put(f"{folder.name}/{file.relative_to(folder)}", file.read_bytes())
        return f"{self.uri}/{folder.name}"


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Runs a server of S3, whose protocol is also that of Google Cloud Storage's XML API; yields its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def make_bucket(address: str) -> str:
    """Makes a bucket and returns its name."""
    # The server's process keeps its buckets.
    # obstore escapes hyphens for Google, which moto does not undo.
    name = f"flowers{uuid.uuid4().hex}"
    requests.put(f"{address}/{name}", timeout=10).raise_for_status()
    return name


def put_raw(uri: str, content: bytes, **options: str) -> None:
    """Puts an object of any name on the server that the environment leads to: obstore refuses some names."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    s3_client(f"http://{os.environ['S3_ENDPOINT']}").put_object(Bucket=bucket, Key=key, Body=content, **options)


@functools.cache
def s3_client(address: str) -> Any:
    import boto3

    credentials = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    return boto3.client("s3", endpoint_url=address, region_name="us-east-1", **credentials)


@contextlib.contextmanager
def webhdfs(folder: Path) -> Iterator[int]:
    """Serves a folder as WebHDFS does, for reading; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            operation = parse_qs(url.query)["op"][0]
            path = folder / unquote(url.path.removeprefix("/webhdfs/v1")).lstrip("/")
            if not path.exists():
                error = {"exception": "FileNotFoundException", "message": f"File does not exist: {path}"}
                self._answer(404, json.dumps({"RemoteException": error}).encode())
            elif operation == "OPEN":
                self._answer(200, path.read_bytes())
            elif operation == "GETFILESTATUS":
                self._answer(200, json.dumps({"FileStatus": _status(path, "")}).encode())
            else:
                entries = [_status(child, child.name) for child in sorted(path.iterdir())]
                self._answer(200, json.dumps({"FileStatuses": {"FileStatus": entries}}).encode())

        def _answer(self, code: int, content: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _status(path: Path, name: str) -> dict[str, Any]:
    found = path.stat()
    return {
        "pathSuffix": name,
        "type": "DIRECTORY" if path.is_dir() else "FILE",
        "length": 0 if path.is_dir() else found.st_size,
        "modificationTime": found.st_mtime_ns // 10**6,
    }
