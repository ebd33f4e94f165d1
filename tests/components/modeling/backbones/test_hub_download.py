import http.server
import io
import tarfile
import threading
from collections import deque
from pathlib import Path

import pytest

from components.common.errors import UserError
from components.modeling.backbones import hub_download
from components.modeling.backbones.digest import content_digest
from components.modeling.backbones.hub_download import download_module
from components.modeling.backbones.loading import load_backbone, prepare_backbone


class _HubHandler(http.server.BaseHTTPRequestHandler):
    """Answers each request with the next of the server's answers: (status, headers, body, bytes really sent)."""

    def do_GET(self):
        self.server.requests.append(self.path)
        status, headers, body, sent = self.server.answers.popleft()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])
        if self.server.stalls:
            self.server.stalls -= 1
            self.server.gave_up.wait(30)

    def log_message(self, *_):
        pass


class _Hub:
    def __init__(self, server):
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_port}/publisher/tiny/feature_vector/1"
        self.requests = server.requests

    def will_stall(self, body):
        """Sends half of the next answer, and then nothing more."""
        self._server.stalls += 1
        self.will_answer(body, sent=len(body) // 2)

    def will_answer(self, body=b"", status=200, sent=None, declare_length=True, **headers):
        if declare_length:
            headers["Content-Length"] = str(len(body))
        self._server.answers.append((status, headers, body, sent))


@pytest.fixture
def hub_server(cache, monkeypatch):
    """A loopback server that speaks TF Hub's download protocol; retries do not wait."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(hub_download, "RETRY_DELAYS_S", (0.0, 0.0, 0.0))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _HubHandler) as server:
        server.answers, server.requests = deque(), []
        server.stalls, server.gave_up = 0, threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield _Hub(server)
        server.gave_up.set()
        server.shutdown()


@pytest.fixture
def archive(small_backbone):
    return _targz(small_backbone)


def _targz(folder):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
    return buffer.getvalue()


def _assert_nothing_cached(cache):
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_downloads_once_with_hubs_query(hub_server, archive, small_backbone, cache):
    hub_server.will_answer(archive)
    path, info = prepare_backbone(hub_server.url)
    assert Path(path).parent == cache
    assert info.digest == content_digest(str(small_backbone))
    assert load_backbone(hub_server.url) == path
    assert hub_server.requests == ["/publisher/tiny/feature_vector/1?tf-hub-format=compressed"]


def test_follows_a_redirect(hub_server, archive, small_backbone):
    hub_server.will_answer(status=302, Location="/storage/tiny.tar.gz")
    hub_server.will_answer(archive)
    assert content_digest(load_backbone(hub_server.url)) == content_digest(str(small_backbone))
    assert hub_server.requests[1] == "/storage/tiny.tar.gz"


def test_a_passing_failure_is_tried_again(hub_server, archive, small_backbone):
    hub_server.will_answer(status=503)
    hub_server.will_answer(archive, sent=len(archive) // 2)
    hub_server.will_answer(archive[:-20], declare_length=False)
    hub_server.will_answer(archive)
    assert content_digest(load_backbone(hub_server.url)) == content_digest(str(small_backbone))


def test_a_server_that_stops_sending_is_given_up(hub_server, archive, small_backbone, monkeypatch):
    monkeypatch.setattr(hub_download, "_TIMEOUT_S", 1.0)
    hub_server.will_stall(archive)
    hub_server.will_answer(archive)
    assert content_digest(load_backbone(hub_server.url)) == content_digest(str(small_backbone))
    assert len(hub_server.requests) == 2


def test_flipped_bits_are_found_and_fetched_again(hub_server, archive, small_backbone):
    flipped = bytearray(archive)
    flipped[len(flipped) // 2] ^= 1
    hub_server.will_answer(bytes(flipped))
    hub_server.will_answer(archive)
    assert content_digest(load_backbone(hub_server.url)) == content_digest(str(small_backbone))


def test_an_interrupted_download_is_never_used(hub_server, archive, cache):
    for _ in range(4):
        hub_server.will_answer(archive, sent=len(archive) - 100)
    with pytest.raises(UserError, match=r"connection broke after .* of .* bytes; use --backbone efficientnet_lite0"):
        load_backbone(hub_server.url)
    assert len(hub_server.requests) == 4
    _assert_nothing_cached(cache)


def test_a_missing_module_is_not_tried_again(hub_server, cache):
    hub_server.will_answer(b"no such module", status=404)
    with pytest.raises(UserError, match="404: Not Found; use --backbone efficientnet_lite0") as caught:
        load_backbone(hub_server.url)
    assert hub_server.url in str(caught.value)
    assert len(hub_server.requests) == 1
    _assert_nothing_cached(cache)


def test_a_page_instead_of_an_archive_is_refused(hub_server, cache):
    hub_server.will_answer(b"<html>please log in</html>" * 100)
    with pytest.raises(UserError, match="does not appear to be a valid module; use --backbone"):
        load_backbone(hub_server.url)
    _assert_nothing_cached(cache)


def test_an_archive_that_leads_out_of_its_folder_is_refused(hub_server, cache):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../evil"))
    hub_server.will_answer(buffer.getvalue())
    with pytest.raises(UserError, match=r"'../../evil' is invalid"):
        load_backbone(hub_server.url)
    assert not list(cache.parent.rglob("evil"))


def test_no_server_is_a_user_error(hub_server):
    with pytest.raises(UserError, match=r"cannot download .*Connection refused.*--backbone FOLDER"):
        load_backbone("http://127.0.0.1:9/module/1")


def test_another_archive_than_the_pinned_one_is_refused(hub_server, archive, cache):
    hub_server.will_answer(archive)
    cache.mkdir()
    with pytest.raises(ValueError, match="not the pinned 0000"):
        download_module(hub_server.url, "0" * 64)
    _assert_nothing_cached(cache)


def test_a_damaged_cached_copy_is_fetched_again(hub_server, archive, small_backbone):
    hub_server.will_answer(archive)
    hub_server.will_answer(archive)
    path = Path(load_backbone(hub_server.url))
    (path / "saved_model.pb").write_bytes(b"")
    assert content_digest(load_backbone(hub_server.url)) == content_digest(str(small_backbone))
    assert len(hub_server.requests) == 2


def test_a_copy_that_another_hub_client_made_is_used(hub_server, archive, monkeypatch):
    import tensorflow_hub as hub

    hub_server.will_answer(archive)
    path = hub.resolve(hub_server.url)
    assert load_backbone(hub_server.url) == path
    assert len(hub_server.requests) == 1
