import dataclasses
import http.server
import io
import tarfile
import threading
import traceback
from collections import deque
from pathlib import Path

import pytest

from components.common.errors import UserError
from components.modeling.backbones import hub_download, registry
from components.modeling.backbones.cache import content_digest
from components.modeling.backbones.loading import load_backbone, prepare_backbone
from components.modeling.backbones.saved_model import save_feature_vector

import tensorflow as tf  # isort: skip
import tensorflow_hub as hub  # isort: skip


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
    assert [path.name for path in cache.rglob("*") if path.name != "downloads.lock"] == []


def test_downloads_once_with_hubs_query(hub_server, archive, small_backbone, cache):
    hub_server.will_answer(archive)
    path, info = prepare_backbone(hub_server.url)
    assert Path(path).parent == cache
    assert info.digest == content_digest(str(small_backbone))
    assert load_backbone(hub_server.url) == path
    assert hub_server.requests == ["/publisher/tiny/feature_vector/1?tf-hub-format=compressed"]


def test_follows_redirects_to_a_signed_address(hub_server, archive, small_backbone):
    hub_server.will_answer(status=302, Location="/models/publisher/tiny?tf-hub-format=compressed")
    hub_server.will_answer(status=302, Location="/storage/tiny.tar.gz?X-Goog-Signature=abc")
    hub_server.will_answer(archive)
    assert content_digest(load_backbone(hub_server.url)) == content_digest(str(small_backbone))
    assert hub_server.requests[2] == "/storage/tiny.tar.gz?X-Goog-Signature=abc"


def test_the_signature_of_a_redirect_is_in_no_message(hub_server, caplog):
    hub_server.will_answer(status=302, Location="/storage/tiny.tar.gz?X-Goog-Signature=abc")
    hub_server.will_answer(status=403)
    with caplog.at_level("INFO"), pytest.raises(UserError, match=r"127\.0\.0\.1 answered 403 Forbidden; set") as caught:
        load_backbone(hub_server.url)
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "X-Goog-Signature" not in shown


def test_the_address_of_an_archive_is_asked_for_as_it_is(hub_server, archive, small_backbone):
    hub_server.will_answer(archive)
    path = load_backbone(hub_server.url + ".tar.gz?X-Amz-Signature=abc")
    assert content_digest(path) == content_digest(str(small_backbone))
    assert hub_server.requests == ["/publisher/tiny/feature_vector/1.tar.gz?X-Amz-Signature=abc"]


def test_a_passing_failure_is_tried_again(hub_server, archive, small_backbone):
    hub_server.will_answer(status=503)
    hub_server.will_answer(archive, sent=len(archive) // 2)
    hub_server.will_answer(archive[:-20], declare_length=False)
    hub_server.will_answer(archive)
    assert content_digest(load_backbone(hub_server.url)) == content_digest(str(small_backbone))


def test_a_server_that_stops_sending_is_given_up(hub_server, archive, small_backbone, monkeypatch):
    monkeypatch.setattr(hub_download, "_TIMEOUT_S", (1.0, 1.0))
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
    with pytest.raises(UserError, match=r"the connection broke .*bytes read.* FOLDER .* efficientnet_lite0 \(needs"):
        load_backbone(hub_server.url)
    assert len(hub_server.requests) == 4
    _assert_nothing_cached(cache)


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (403, "Forbidden")])
def test_a_module_that_is_not_there_is_not_tried_again(status, reason, hub_server, cache):
    hub_server.will_answer(b"no such module", status=status)
    with pytest.raises(UserError, match=rf"answered {status} {reason}; set .* efficientnet_lite0 \(needs") as caught:
        load_backbone(hub_server.url)
    assert hub_server.url in str(caught.value)
    assert len(hub_server.requests) == 1
    _assert_nothing_cached(cache)


def test_a_page_instead_of_an_archive_is_refused(hub_server, cache):
    hub_server.will_answer(b"<html>please log in</html>" * 100)
    with pytest.raises(UserError, match="the answer is not an archive; "):
        load_backbone(hub_server.url)
    _assert_nothing_cached(cache)


def test_an_archive_that_leads_out_of_its_folder_is_refused(hub_server, cache):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../evil"))
    hub_server.will_answer(buffer.getvalue())
    with pytest.raises(UserError, match=r"'../../evil' would be extracted to"):
        load_backbone(hub_server.url)
    assert not list(cache.parent.rglob("evil"))


def test_no_server_is_a_user_error(hub_server):
    with pytest.raises(UserError, match=r"cannot download .*no connection.*Connection refused.*--backbone FOLDER"):
        load_backbone("http://127.0.0.1:9/module/1")


def test_another_archive_than_the_pinned_one_is_refused(hub_server, archive, cache):
    hub_server.will_answer(archive)
    cache.mkdir()
    with pytest.raises(hub_download.DownloadError, match="not the pinned 0000"):
        hub_download.download_archive(hub_server.url, cache / "tiny", "0" * 64)
    _assert_nothing_cached(cache)


def test_a_damaged_cached_copy_is_fetched_again(hub_server, archive, small_backbone):
    hub_server.will_answer(archive)
    hub_server.will_answer(archive)
    path = Path(load_backbone(hub_server.url))
    (path / "saved_model.pb").write_bytes(b"")
    assert content_digest(load_backbone(hub_server.url)) == content_digest(str(small_backbone))
    assert len(hub_server.requests) == 2


def test_a_copy_that_another_hub_client_made_is_used(hub_server, archive, monkeypatch):
    hub_server.will_answer(archive)
    path = hub.resolve(hub_server.url)
    assert load_backbone(hub_server.url) == path
    assert len(hub_server.requests) == 1


class _Projection(tf.Module):
    """Mean colour times a random matrix: of a registered module, its signature alone."""

    def __init__(self, feature_size):
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal([3, feature_size], seed=(1, 2)))

    def features(self, images):
        return tf.reduce_mean(images, axis=[1, 2]) @ self.kernel

    def __call__(self, images, training=False):
        del training
        return self.features(images)


def _save_like(known, module, path):
    """Saves a module with the signature that the documentation of a registered one describes."""
    if known.name != "bit_m_r50x1":
        save_feature_vector(module, path, known.image_size)
        return
    # Any size, and no argument `training`: group normalisation does not need it.
    reusable = tf.train.Checkpoint(module=module)
    reusable.variables = reusable.trainable_variables = list(module.variables)
    reusable.regularization_losses = []
    reusable.__call__ = tf.function(module.features, [tf.TensorSpec([None, None, None, 3], tf.float32)])
    tf.saved_model.save(reusable, str(path))


@pytest.mark.parametrize("name", [name for name, known in registry.BACKBONES.items() if not known.embedded])
def test_what_the_registry_says_of_a_hub_module_is_checked(name, hub_server, tmp_path, monkeypatch):
    known = registry.BACKBONES[name]
    module = _Projection(known.feature_size)
    _save_like(known, module, tmp_path / "module")
    hub_server.will_answer(_targz(tmp_path / "module"))
    handle = hub_server.url.replace("/publisher/tiny/feature_vector/1", known.handle.removeprefix("https://tfhub.dev"))
    monkeypatch.setattr(registry, "BACKBONES", {name: dataclasses.replace(known, handle=handle, kaggle="")})
    path, info = prepare_backbone(name)
    assert (info.image_size, info.feature_size, info.trainable) == (known.image_size, known.feature_size, True)
    assert hub_server.requests == [f"{known.handle.removeprefix('https://tfhub.dev')}?tf-hub-format=compressed"]
    images = tf.random.stateless_uniform([2, *known.image_size, 3], seed=(3, 4))
    features = hub.KerasLayer(path, trainable=False)(images)
    assert tf.reduce_max(tf.abs(features - module(images))) < 1e-5


def test_a_hub_module_with_other_features_than_the_registry_says_is_refused(hub_server, archive, monkeypatch):
    hub_server.will_answer(archive)
    known = dataclasses.replace(registry.BACKBONES["efficientnet_v2_s"], handle=hub_server.url, image_size=(4, 6))
    monkeypatch.setattr(registry, "BACKBONES", {known.name: known})
    with pytest.raises(UserError, match="backbone efficientnet_v2_s returns 6 features where 1280 were expected"):
        prepare_backbone("efficientnet_v2_s")
