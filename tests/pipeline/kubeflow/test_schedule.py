"""`kubeflow_runner.py schedule` against a loopback API server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fake_api_server import FakeApiServer

from components.common.errors import UserError
from pipeline.kubeflow.command_line import cli
from pipeline.kubeflow.submit import kubeflow_cron, read_spec


@pytest.fixture
def schedule(compiled: Path, server: FakeApiServer) -> Callable[..., Result]:
    def run(*options: str) -> Result:
        return CliRunner().invoke(cli, ["schedule", "--package", str(compiled), "--host", server.url, *options])

    return run


def test_the_pipeline_is_uploaded_and_scheduled(
    server: FakeApiServer, schedule: Callable[..., Result], compiled: Path
) -> None:
    result = schedule("--cron", "30 3 * * *", "--param", "epochs=3")

    assert result.exit_code == 0, result.output
    assert result.output == f"Scheduled tf-flowers at '0 30 3 * * *': {server.url}/#/recurringrun/details/s1\n"
    assert server.uploads == ["/pipelines/upload"]
    assert server.runs == []
    [scheduled] = server.schedules.values()
    assert scheduled["trigger"]["cron_schedule"]["cron"] == "0 30 3 * * *"
    assert scheduled["pipeline_version_reference"] == {"pipeline_id": "p1", "pipeline_version_id": "v1"}
    assert scheduled["runtime_config"] == {
        "parameters": {"epochs": 3},
        "pipeline_root": read_spec(compiled)["defaultPipelineRoot"],
    }
    # Two runs at once would compete for the push, and missed ones would look at the same photos.
    assert (scheduled["mode"], scheduled["max_concurrency"], scheduled["no_catchup"]) == ("ENABLE", 1, True)


def test_it_takes_the_place_of_the_one_of_its_name(server: FakeApiServer, schedule: Callable[..., Result]) -> None:
    schedule("--cron", "@daily")
    schedule("--cron", "@daily", "--name", "another")

    result = schedule("--cron", "@hourly", "--pipeline-root", "s3://bucket/elsewhere")

    assert "Removed the earlier schedule s1." in result.output
    assert {run["display_name"]: run["trigger"]["cron_schedule"]["cron"] for run in server.schedules.values()} == {
        "another": "@daily",
        "tf-flowers": "@hourly",
    }


def test_what_is_refused_changes_nothing(server: FakeApiServer, schedule: Callable[..., Result]) -> None:
    schedule("--cron", "@daily")

    result = schedule("--cron", "every day at five o'clock")

    assert isinstance(result.exception, UserError)
    assert "HTTP 400: Schedule cron is not a supported format" in str(result.exception)
    assert list(server.schedules) == ["s1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 3 * * *", "0 0 3 * * *"),
        ("*/5 * * *  1-5", "0 */5 * * * 1-5"),
        ("15 0 3 * * *", "15 0 3 * * *"),
        ("@every 6h", "@every 6h"),
    ],
)
def test_the_usual_five_fields_are_minutes_first(text: str, expected: str) -> None:
    assert kubeflow_cron(text) == expected


@pytest.mark.parametrize("text", ["", "3 * *", "0 0 3 * * * 2026"])
def test_another_number_of_fields_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="fields; use five"):
        kubeflow_cron(text)
