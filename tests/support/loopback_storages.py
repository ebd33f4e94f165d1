"""Google Cloud Storage and WebHDFS on this machine's loopback address."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


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
def gcs_emulator(bucket: str) -> Iterator[str]:
    """Runs an emulator with a bucket; yields its address."""
    from gcp_storage_emulator.server import create_server

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=bucket)
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


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
