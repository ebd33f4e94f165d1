"""A stub of the Kubernetes API: it keeps objects and hands them out, and nothing acts on them.

TLS with a certificate of its own, for that is how a pod reaches the API. Objects are kept by their path, such as
/api/v1/namespaces/kubeflow/secrets/NAME; a watch is an empty answer, and selectors are not looked at.
"""

import base64
import collections
import copy
import datetime
import functools
import http.server
import ipaddress
import json
import operator
import queue
import ssl
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Object = dict[str, Any]


class KubernetesApi:
    """The server and its objects by path; `created` are paths of those that clients have created, oldest first."""

    def __init__(self, host: str, port: int, folder: Path):
        self.certificate = folder / "kubernetes.crt"
        self.objects: dict[str, Object] = {}
        self.created: queue.Queue[str] = queue.Queue()
        self.calls: collections.Counter[str] = collections.Counter()
        self._lock = threading.RLock()
        self._version = 0
        self._server = http.server.ThreadingHTTPServer((host, port), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, _make_certificate(host, self.certificate))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stops the server."""
        self._server.shutdown()
        self._server.server_close()

    def add_secret(self, namespace: str, name: str, values: dict[str, str]) -> None:
        """Keeps a secret."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.put(f"/api/v1/namespaces/{namespace}/secrets/{name}", {"kind": "Secret", "data": data})

    def secret(self, namespace: str, name: str, key: str) -> str:
        """Returns one value of a secret."""
        return base64.b64decode(self.objects[f"/api/v1/namespaces/{namespace}/secrets/{name}"]["data"][key]).decode()

    def put(self, path: str, value: Object) -> Object:
        """Keeps an object, with the metadata that the API gives it."""
        with self._lock:
            self._version += 1
            metadata = value.setdefault("metadata", {})
            metadata |= {"name": path.rpartition("/")[2], "resourceVersion": str(self._version)}
            if path not in self.objects:
                now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
                metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now}
            self.objects[path] = value
            return value

    def answer(self, verb: str, path: str, body: Any) -> tuple[int, Object]:
        """Returns status and body of a request."""
        path = urllib.parse.urlsplit(path).path
        found = self.objects.get(path)
        name = path.rpartition("/")[2]
        self.calls[f"{verb} {_kind(path)}"] += 1
        if verb == "POST":
            metadata = body["metadata"]
            name = metadata.get("name") or metadata["generateName"] + uuid.uuid4().hex[:5]
            created = self.put(f"{path}/{name}", body)
            self.created.put(f"{path}/{name}")
            return 201, created
        if verb == "GET" and _kind(path) == name:
            inside = [value for key, value in sorted(self.objects.items()) if key.startswith(f"{path}/")]
            return 200, {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": inside}
        if not found:
            reason = {"reason": "NotFound", "code": 404, "message": f"{path} not found"}
            return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", **reason}
        if verb == "PATCH":
            changed = _json_patch(found, body) if isinstance(body, list) else _merge_patch(found, body)
            return 200, self.put(path, changed)
        if verb == "PUT":
            return 200, self.put(path, {**body, "metadata": {**found["metadata"], **body["metadata"]}})
        if verb == "DELETE":
            del self.objects[path]
        return 200, found


def _kind(path: str) -> str:
    """Returns the plural in a path: `secrets` of /api/v1/namespaces/kubeflow/secrets/NAME."""
    parts = path.strip("/").split("/")
    at = parts.index("namespaces") + 2 if "namespaces" in parts else len(parts) - 1
    return parts[min(at, len(parts) - 1)]


def _merge_patch(value: Object, patch: Object) -> Object:
    """Returns an object after a JSON merge patch (RFC 7396)."""
    result = dict(value)
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        elif isinstance(change, dict):
            result[key] = _merge_patch(result.get(key) or {}, change)
        else:
            result[key] = change
    return result


def _json_patch(value: Object, operations: list[Object]) -> Object:
    """Returns an object after a JSON patch (RFC 6902) of additions to objects, with or without tests."""
    result = copy.deepcopy(value)
    for operation in operations:
        *parents, key = (
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].removeprefix("/").split("/")
        )
        target = functools.reduce(operator.getitem, parents, result)
        if operation["op"] == "test":
            assert target[key] == operation["value"], operation
        else:
            assert operation["op"] == "add", operation
            target[key] = operation["value"]
    return result


def _handler(api: KubernetesApi) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, value = api.answer(self.command, self.path, body)
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self._respond
            raise AttributeError(name)

        def log_message(self, format: str, *args: Any) -> None: ...

    return Handler


def _make_certificate(host: str, certificate: Path) -> Path:
    """Writes a self-signed certificate for an IP address and returns its key's file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file = certificate.with_suffix(".key")
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return key_file
