"""Kaggle Models over the loopback interface, as kagglehub asks for them."""

import base64
import dataclasses
import hashlib
import http.server
import io
import json
import shutil
import tarfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from kagglesdk import kaggle_env

from components.common.errors import UserError
from components.modeling.backbones import hub_download, loading, registry
from components.modeling.backbones.cache import content_digest, kaggle_folder
from components.modeling.backbones.loading import load_backbone, prepare_backbone

HANDLE = "google/tiny/tensorFlow2/feature-vector/4"
WEIGHTS = "variables/variables.data-00000-of-00001"
TOKENS = ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY")


class _KaggleHandler(http.server.BaseHTTPRequestHandler):
    """Kaggle's API, the storage that it redirects to, and TF Hub's archives of the same model.

    `server.faults` maps the last part of an address to what goes wrong the next times: a status, or `cut`, `changed`.
    """

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method = self.path.rpartition("/")[2]
        self.server.seen.append((method, self.headers.get("Authorization")))
        if status := self._fault(method):
            self._answer(json.dumps({"code": status, "message": "refused"}).encode(), status, "application/json")
        elif method == "DownloadModelInstanceVersion":
            self.send_response(302)
            self.send_header("Location", f"/storage?file={asked['path']}&X-Goog-Signature=secret")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            files = [{"name": name} for name in sorted(self.server.files)]
            body = {"files": files, "nextPageToken": ""} if "List" in method else {"versionNumber": 4}
            self._answer(json.dumps(body).encode(), 200, "application/json")

    def do_GET(self):
        parts = urlsplit(self.path)
        name = parse_qs(parts.query).get("file", ["archive"])[0]
        self.server.seen.append((name, self.headers.get("Range")))
        fault = self._fault(name)
        body = self.server.files.get(name) or self.server.archive
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        first = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) if "Range" in self.headers else 0
        if isinstance(fault, int):
            self._answer(b"<Error>refused</Error>", fault)
        elif fault == "changed":
            self._answer(bytes(reversed(body)), 200, hash=digest)
        else:
            sent = len(body) // 2 if fault == "cut" else None
            self._answer(body[first:], 206 if "Range" in self.headers else 200, sent=sent, hash=digest)

    def _fault(self, name):
        faults = self.server.faults.get(name)
        return faults.pop(0) if faults else None

    def _answer(self, body, status, content_type="application/octet-stream", sent=None, hash=None):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if hash and self.server.sends_digests:
            self.send_header("x-goog-hash", f"crc32c=AAAAAA==,md5={hash}")
        self.end_headers()
        self.wfile.write(body[:sent])

    def log_message(self, *_):
        pass


@pytest.fixture
def kaggle(cache, small_backbone, monkeypatch, tmp_path):
    """A loopback server with one model, `HANDLE`, and its archive; there is no login, and retries do not wait."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (*TOKENS, "KAGGLEHUB_CACHE", "KAGGLE_API_ENVIRONMENT", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub_download, "RETRY_DELAYS_S", (0.0, 0.0, 0.0))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _KaggleHandler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, address)
        monkeypatch.setattr(loading, "_KAGGLE_MODELS", f"{address}/models/")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            tar.add(small_backbone, arcname=".")
        server.archive, server.sends_digests = buffer.getvalue(), True
        server.files = {
            path.relative_to(small_backbone).as_posix(): path.read_bytes()
            for path in small_backbone.rglob("*")
            if path.is_file() and path.stat().st_size
        }
        server.faults, server.seen, server.digest = {}, [], content_digest(str(small_backbone))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _names(kaggle):
    return [name for name, _ in kaggle.seen]


def test_a_handle_is_downloaded_once_and_anonymously(kaggle, cache, capsys):
    path, info = prepare_backbone(HANDLE)
    assert Path(path) == kaggle_folder(HANDLE) == cache / "models" / HANDLE
    assert info.digest == kaggle.digest
    assert {authorization for name, authorization in kaggle.seen if "Model" in name} == {None}
    asked = len(kaggle.seen)
    assert load_backbone(HANDLE) == path
    assert len(kaggle.seen) == asked
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "address",
    [
        f"https://www.kaggle.com/models/{HANDLE}",
        "https://kaggle.com/models/google/tiny/TensorFlow2/feature-vector/4?tfhub-redirect=true",
        "https://www.kaggle.com/models/google/tiny/frameworks/TensorFlow2/variations/feature-vector/versions/4",
    ],
)
def test_web_addresses_name_the_same_model(address, kaggle):
    assert load_backbone(address) == load_backbone(HANDLE)


def test_kagglehubs_bars_are_our_progress(kaggle, monkeypatch, caplog):
    monkeypatch.setattr(hub_download, "_REPORT_EVERY_BYTES", len(kaggle.files[WEIGHTS]))
    with caplog.at_level("INFO"):
        load_backbone(HANDLE)
    assert "Downloading the backbone" in {
        getattr(record, "progress", {}).get("description") for record in caplog.records
    }


def test_without_a_version_the_newest_is_taken(kaggle):
    assert load_backbone(HANDLE.removesuffix("/4")) == str(kaggle_folder(HANDLE))
    (kaggle_folder(HANDLE) / "saved_model.pb").write_bytes(b"")
    assert content_digest(load_backbone(HANDLE.removesuffix("/4"))) == kaggle.digest


def test_a_folder_of_that_name_is_a_folder(kaggle, small_backbone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_backbone, HANDLE)
    assert load_backbone(HANDLE) == HANDLE
    assert kaggle.seen == []


def test_the_page_of_a_model_says_what_is_missing(kaggle, monkeypatch):
    monkeypatch.setattr(loading, "_KAGGLE_MODELS", "https://www.kaggle.com/models/")
    with pytest.raises(UserError, match="is not a TensorFlow 2 variation of a model: give OWNER/MODEL/tensorFlow2"):
        load_backbone("https://www.kaggle.com/models/google/inception-v3")


def test_a_token_goes_to_kaggle_and_into_no_message(kaggle, monkeypatch, caplog):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "confidential")
    kaggle.faults = {"DownloadModelInstanceVersion": [403] * 9, "archive": [403]}
    with caplog.at_level("DEBUG"), pytest.raises(UserError) as caught:
        load_backbone(HANDLE)
    assert ("ListModelInstanceVersionFiles", "Bearer confidential") in kaggle.seen
    assert "confidential" not in f"{caught.value} {caplog.text}"


def test_passing_failures_are_tried_again(kaggle):
    kaggle.faults = {"ListModelInstanceVersionFiles": [429], "DownloadModelInstanceVersion": [503], WEIGHTS: [500]}
    assert content_digest(load_backbone(HANDLE)) == kaggle.digest
    assert "archive" not in _names(kaggle)


@pytest.mark.parametrize("sends_digests", [True, False])
def test_a_cut_download_goes_on_where_it_broke(sends_digests, kaggle):
    kaggle.sends_digests = sends_digests
    kaggle.faults = {WEIGHTS: ["cut"]}
    assert content_digest(load_backbone(HANDLE)) == kaggle.digest
    # urllib3 2 drops a MiB that was cut.
    assert {(WEIGHTS, f"bytes={start}-") for start in (0, len(kaggle.files[WEIGHTS]) // 2)} & set(kaggle.seen)
    assert "archive" not in _names(kaggle)


def test_what_is_not_the_rest_of_a_file_is_not_appended(kaggle):
    kaggle.sends_digests = False
    kaggle.faults = {WEIGHTS: ["cut", None, 403]}
    assert content_digest(load_backbone(HANDLE)) == kaggle.digest
    assert _names(kaggle)[-1] == "archive"


def test_another_digest_than_the_server_gave_is_fetched_again(kaggle):
    kaggle.faults = {WEIGHTS: ["changed"]}
    assert content_digest(load_backbone(HANDLE)) == kaggle.digest
    assert _names(kaggle).count(WEIGHTS) == 2


def test_a_damaged_cached_copy_is_fetched_again(kaggle):
    path = Path(load_backbone(HANDLE))
    (path / WEIGHTS).write_bytes(b"damaged")
    assert content_digest(load_backbone(HANDLE)) == kaggle.digest
    assert _names(kaggle).count(WEIGHTS) == 2


@pytest.mark.parametrize(
    ("faults", "answer"),
    [
        ({"ListModelInstanceVersionFiles": [404]}, "127.0.0.1 answered 404 Not Found"),
        ({"DownloadModelInstanceVersion": [403] * 9}, "127.0.0.1 answered 403 Forbidden"),
        ({"ListModelInstanceVersionFiles": [429] * 9}, "127.0.0.1 answered 429 Too Many Requests"),
        ({WEIGHTS: [403] * 9}, "127.0.0.1 answered 403 Forbidden"),
        ({WEIGHTS: ["changed"] * 9}, "The X-Goog-Hash header indicated a MD5 checksum of"),
    ],
)
def test_tf_hub_is_the_second_way_and_each_answer_is_named(faults, answer, kaggle, caplog):
    kaggle.faults = {name: list(answers) for name, answers in faults.items()}
    with caplog.at_level("INFO"):
        assert content_digest(load_backbone(HANDLE)) == kaggle.digest
    assert f"Cannot download {HANDLE}: {answer}" in caplog.text
    assert "X-Goog-Signature" not in caplog.text


def test_both_answers_and_the_alternatives_are_on_one_line(kaggle):
    kaggle.faults = {"ListModelInstanceVersionFiles": [404], "archive": [403]}
    with pytest.raises(UserError) as caught:
        load_backbone(HANDLE)
    assert str(caught.value) == (
        f"cannot download backbone {HANDLE}: {HANDLE}: 127.0.0.1 answered 404 Not Found; "
        f"{loading._KAGGLE_MODELS}{HANDLE}: 127.0.0.1 answered 403 Forbidden; {loading._OFFLINE}"
    )
    for way_out in ("KAGGLE_API_TOKEN", "--backbone FOLDER", "--backbone efficientnet_lite0"):
        assert way_out in str(caught.value)


def test_a_registered_module_is_fetched_from_kaggle_and_then_from_tf_hub(kaggle, monkeypatch):
    known = registry.BACKBONES["mobilenet_v2"]
    url = f"{loading._KAGGLE_MODELS}mobilenet_v2/4"
    known = dataclasses.replace(known, handle=url, kaggle=HANDLE, image_size=(4, 6), feature_size=6)
    monkeypatch.setattr(registry, "BACKBONES", {"mobilenet_v2": known})
    kaggle.faults = {"ListModelInstanceVersionFiles": [404]}
    from_hub = load_backbone("mobilenet_v2")
    assert _names(kaggle) == ["ListModelInstanceVersionFiles", "archive"]
    # What is in the cache is used, whichever way it came.
    assert prepare_backbone("mobilenet_v2") == (from_hub, prepare_backbone(from_hub)[1])
    shutil.rmtree(from_hub)
    assert load_backbone("mobilenet_v2") == str(kaggle_folder(HANDLE))
