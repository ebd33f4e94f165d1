"""`kubeflow_runner.py submit` against a loopback API server."""

import json
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from fake_api_server import FakeApiServer

from components.common.errors import UserError
from pipeline.kubeflow.submit import parse_parameters, read_spec


def test_a_run_is_started_and_followed_to_its_end(
    server: FakeApiServer, submit: Callable[..., Result], compiled: Path
) -> None:
    result = submit(server.url, "--param", "epochs=3", "--param", "learning_rate=0.01", "--run-name", "first")

    assert result.exit_code == 0, result.output
    assert f"Started: {server.url}/#/runs/details/r1" in result.output
    assert "first: SUCCEEDED" in result.output
    rows = [line.split() for line in result.output.splitlines() if "42 s" in line]
    assert [row[1] for row in rows] == ["tfds-example-gen", "trainer"]
    assert server.uploads == ["/pipelines/upload"]
    [run] = server.runs
    assert run["display_name"] == "first"
    assert run["experiment_id"] == "e1"
    assert run["pipeline_version_reference"] == {"pipeline_id": "p1", "pipeline_version_id": "v1"}
    assert run["runtime_config"]["parameters"] == {"epochs": 3, "learning_rate": 0.01}
    # The backend reads the run's root alone: without one it would write to a root of its own.
    assert run["runtime_config"]["pipeline_root"] == read_spec(compiled)["defaultPipelineRoot"]


def test_a_known_pipeline_gets_a_new_version(server: FakeApiServer, submit: Callable[..., Result]) -> None:
    """The server answers a name that it knows with 409 Conflict, so two versions of one second need two names."""
    server.known_pipeline = "tf-flowers"

    result = submit(server.url, "--no-wait", "--pipeline-root", "s3://bucket/elsewhere")

    assert result.exit_code == 0, result.output
    assert server.uploads == ["/pipelines/upload_version"]
    [run] = server.runs
    assert run["pipeline_version_reference"]["pipeline_version_id"] == "v2"
    assert run["runtime_config"]["pipeline_root"] == "s3://bucket/elsewhere"
    submit(server.url, "--no-wait")
    first, second = server.upload_names
    assert first != second
    assert all(re.fullmatch(r"tf-flowers \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", name) for name in (first, second))


def test_a_failed_run_says_which_task_failed(server: FakeApiServer, submit: Callable[..., Result]) -> None:
    server.states = [("FAILED", "SUCCEEDED", "FAILED")]

    result = submit(server.url)

    assert result.exit_code == 1
    assert "trainer: main container failed: exit code 1" in result.output


def test_refused_credentials(
    server: FakeApiServer, submit: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = "right"
    monkeypatch.setenv("FLOWERS_KFP_TOKEN", "wrong")
    with pytest.raises(UserError, match=r"refuses the credentials \(HTTP 401\); set FLOWERS_KFP_TOKEN"):
        _raise(submit(server.url))

    monkeypatch.setenv("FLOWERS_KFP_TOKEN", "right")
    assert submit(server.url).exit_code == 0


def test_a_login_page_is_recognized(server: FakeApiServer, submit: Callable[..., Result]) -> None:
    server.login_page = True
    with pytest.raises(UserError, match="probably a login page"):
        _raise(submit(server.url))


def test_unreachable_host(submit: Callable[..., Result]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match=r"cannot reach Kubeflow Pipelines at http://127\.0\.0\.1.*port-forward"):
            _raise(submit(f"http://127.0.0.1:{unused.getsockname()[1]}"))


def test_an_address_without_scheme(submit: Callable[..., Result]) -> None:
    with pytest.raises(UserError, match="is not an address"):
        _raise(submit("kubeflow.example.org"))


def test_without_the_extra(submit: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kfp", None)
    with pytest.raises(UserError, match="submitting needs the kubeflow extra"):
        _raise(submit("http://127.0.0.1:1"))


def _raise(result: Result) -> None:
    assert isinstance(result.exception, UserError), (result.output, result.exception)
    assert len(str(result.exception).splitlines()) == 1
    raise result.exception


def test_parameters_are_read_by_type(compiled: Path) -> None:
    spec = read_spec(compiled)

    assert parse_parameters(spec, {"epochs": "3", "min_accuracy": "0.5"}) == {"epochs": 3, "min_accuracy": 0.5}
    with pytest.raises(UserError, match="epochs is 'many'; use a value of type int"):
        parse_parameters(spec, {"epochs": "many"})
    with pytest.raises(UserError, match="no run-time parameter is named 'epoch'; use one of backbone, batch_size"):
        parse_parameters(spec, {"epoch": "3"})


def test_a_backbone_brings_its_image_size(compiled: Path) -> None:
    parameters = parse_parameters(read_spec(compiled), {"backbone": "mobilenet_v2"})
    assert json.loads(parameters["image_size"]) == [224, 224]


def test_what_is_no_compiled_pipeline_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    with pytest.raises(UserError, match="cannot read"):
        read_spec(path)
    path.write_text(yaml.safe_dump({"kind": "Deployment"}))
    with pytest.raises(UserError, match="is not a compiled pipeline"):
        read_spec(path)
