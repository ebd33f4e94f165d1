"""What the connection to an API server tells whom, on loopback."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from components.common.errors import UserError
from pipeline.kubeflow.connection import Connection


class _Elsewhere(BaseHTTPRequestHandler):
    """Sends every request but those below /login to there, under another name of this machine."""

    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        is_login = self.path.startswith("/login")
        self.send_response(200 if is_login else 302)
        if not is_login:
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/login")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        del args


@pytest.fixture
def elsewhere() -> Iterator[HTTPServer]:
    _Elsewhere.seen = []
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_credentials_are_not_sent_on(elsewhere: HTTPServer) -> None:
    host = f"http://127.0.0.1:{elsewhere.server_address[1]}"
    with pytest.raises(UserError, match=r"redirects to http://localhost:\d+/login; if that is the server"):
        Connection(host, token="secret").get("apis/v2beta1/healthz")
    assert _Elsewhere.seen == [("/apis/v2beta1/healthz", "Bearer secret")]
