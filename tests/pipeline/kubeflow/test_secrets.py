"""Nothing secret is in the spec, in what containers print and write, in ML Metadata or in error messages.

What a whole run leaves is searched in tests/e2e/test_whole_runs.py.
"""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_api_server import running_server
from kfp_launcher import FakeKfp, TaskFailedError
from planted_secrets import SECRETS, secrets_below, secrets_in

from components.common.errors import UserError
from pipeline.kubeflow.command_line import cli
from pipeline.kubeflow.connection import Connection

COMPILE = ("compile", "--preset", "tf_flowers", "--image", "registry.example.org/flowers:1")
ROOT = ("--pipeline-root", "minio://mlpipeline/flowers")
SECRET = SECRETS["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KF_PIPELINES_UI_ENDPOINT", raising=False)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def _message(*arguments: str) -> str:
    """Returns the one line that a command fails with."""
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, UserError), (result.output, result.exception)
    assert len(str(result.exception).splitlines()) == 1
    assert secrets_in(result.output) == []
    return str(result.exception)


def test_the_compiled_pipeline_names_secrets_and_holds_none(tmp_path: Path) -> None:
    package = tmp_path / "package" / "pipeline.yaml"
    options = [option for name in SECRETS for option in ("--secret-env", f"storage:key={name}")]
    result = CliRunner().invoke(cli, [*COMPILE, *ROOT, "--package", str(package), *options])

    assert result.exit_code == 0, result.output
    assert "AWS_SECRET_ACCESS_KEY" not in result.output
    assert "secretName: storage" in package.read_text()
    assert secrets_in(result.output) == []
    assert secrets_below(package.parent) == {}


@pytest.mark.parametrize("name", [*SECRETS, "API_KEY", "DB_PASSWORD"])
def test_a_secret_is_no_plain_environment_variable(name: str, tmp_path: Path) -> None:
    value = SECRETS.get(name, SECRET)
    message = _message(*COMPILE, *ROOT, "--package", str(tmp_path / "pipeline.yaml"), "--env", f"{name}={value}")

    assert f"--secret-env SECRET:KEY={name}" in message
    assert secrets_in(message) == []


def test_other_environment_variables_are_none_of_these(tmp_path: Path) -> None:
    names = ("TOKENIZERS_PARALLELISM", "GOOGLE_APPLICATION_CREDENTIALS", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_REGION")
    options = [option for name in names for option in ("--env", f"{name}=value")]
    result = CliRunner().invoke(cli, [*COMPILE, *ROOT, "--package", str(tmp_path / "pipeline.yaml"), *options])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "options",
    [
        ("--pipeline-root", f"s3://me:{SECRET}@bucket/flowers"),
        (*ROOT, "--serving-model-dir", f"s3://me:{SECRET}@bucket/serving"),
        (*ROOT, "--baseline", f"s3://me:{SECRET}@bucket/models/12"),
        (*ROOT, "--backbone", f"https://{SECRET}@example.org/module", "--image-size", "224x224"),
        (*ROOT, "--env", f"HTTPS_PROXY=http://me:{SECRET}@proxy.example.org:3128"),
    ],
    ids=lambda options: options[-2],
)
def test_addresses_with_credentials_are_not_compiled(options: tuple[str, ...], tmp_path: Path) -> None:
    message = _message(*COMPILE, "--package", str(tmp_path / "pipeline.yaml"), *options)

    assert "holds a user name or a password" in message
    assert secrets_in(message) == []


@pytest.mark.parametrize(
    "options",
    [
        ("--host", f"http://me:{SECRET}@127.0.0.1:1"),
        ("--host", "http://127.0.0.1:1", "--pipeline-root", f"s3://me:{SECRET}@bucket/flowers"),
        ("--host", "http://127.0.0.1:1", "--param", f"backbone=https://{SECRET}@example.org/module"),
    ],
    ids=lambda options: options[-2],
)
def test_addresses_with_credentials_are_not_submitted(options: tuple[str, ...], compiled: Path) -> None:
    message = _message("submit", "--package", str(compiled), *options)

    assert "holds a user name or a password" in message
    assert secrets_in(message) == []


def test_what_a_server_repeats_is_left_out(compiled: Path) -> None:
    with running_server() as server:
        server.token = SECRETS["FLOWERS_KFP_TOKEN"]
        server.repeats_headers = True
        message = _message("submit", "--package", str(compiled), "--host", server.url)

    assert "HTTP 500: cannot read" in message
    assert "Bearer ***" in message
    assert secrets_in(message) == []


def test_a_connection_shows_no_credentials() -> None:
    connection = Connection("http://localhost:8080", "", SECRETS["FLOWERS_KFP_TOKEN"], SECRETS["FLOWERS_KFP_COOKIE"])
    assert secrets_in(repr(connection)) == []


@pytest.fixture
def refusing_s3() -> Iterator[str]:
    """The address of a server that answers as S3 does to a wrong key, naming the key's id."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        def _refuse(self) -> None:
            key = SECRETS["AWS_ACCESS_KEY_ID"]
            named = f"<AWSAccessKeyId>{key}</AWSAccessKeyId>"
            body = f"<Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message>{named}</Error>"
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/xml")
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = do_POST = _refuse  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.slow
def test_a_push_that_s3_refuses_tells_no_secret(refusing_s3: str, task_run: Callable[..., FakeKfp]) -> None:
    storage = {"S3_ENDPOINT": refusing_s3, "S3_USE_HTTPS": "0", "S3_VERIFY_SSL": "0", "AWS_REGION": "us-east-1"}
    kfp = task_run("pusher", "s3://models/serving_model/tf-flowers", {**SECRETS, **storage})

    with pytest.raises(TaskFailedError, match="InvalidAccessKeyId") as failure:
        kfp.run()

    assert secrets_in(str(failure.value)) == []
    assert secrets_below(kfp.folder) == {}
