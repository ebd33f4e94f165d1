"""Options of Beam's runners, and what is said when a runner lacks something."""

import http.server
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import DirectOptions, FlinkRunnerOptions, PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_fn_api_pb2

from components.common.errors import UserError
from pipeline.beam_runners import flink
from pipeline.beam_runners.beam_args import beam_args, prepare
from pipeline.beam_runners.worker_logs import forward_worker_logs
from pipeline.cli.run_options import collect_run_options
from pipeline.presets import build_config

_DATAFLOW = (
    "--project=flowers", "--region=europe-west1", "--temp_location=gs://flowers/tmp",
    "--sdk_container_image=europe-docker.pkg.dev/flowers/beam:1",
)  # fmt: skip


@pytest.fixture
def java_and_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stand-in for Java on the PATH and a job server; options are built, not used."""
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    jar = tmp_path / "job-server.jar"
    jar.touch()
    return [f"--flink_job_server_jar={jar}"]


@pytest.fixture
def flink_rest() -> Iterator[str]:
    """A REST interface that says, as Flink's does, that it has 2 task slots."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"taskmanagers": 2, "slots-total": 2}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_direct_names_the_runner_that_asks_for_no_other() -> None:
    args = ("--runner=FnApiRunner", "--sdk_container_image=none")
    assert beam_args("direct") == beam_args("DirectRunner", workers=1) == args


def test_multi_processing_starts_the_workers_asked_for() -> None:
    options = PipelineOptions(list(beam_args("multi_processing", workers=3))).view_as(DirectOptions)
    assert (options.direct_running_mode, options.direct_num_workers) == ("multi_processing", 3)


def test_options_given_replace_those_of_the_runner() -> None:
    args = beam_args("multi_processing", 3, ["--direct_num_workers=5", "--experiments=x"])
    assert [option for option in args if "num_workers" in option] == ["--direct_num_workers=5"]
    assert args[-1] == "--experiments=x"


def test_embedded_flink_runs_workers_in_this_process(java_and_jar: list[str]) -> None:
    args = list(beam_args("flink", 2, java_and_jar))
    flink_options = PipelineOptions(args).view_as(FlinkRunnerOptions)
    assert (flink_options.flink_master, flink_options.parallelism) == ("[local]", 2)
    assert PipelineOptions(args).view_as(PortableOptions).environment_type == "LOOPBACK"
    assert beam_args("FlinkRunner", 2, java_and_jar) == tuple(args), "they are part of the cache key"


def test_flink_cluster_starts_worker_processes(java_and_jar: list[str], flink_rest: str) -> None:
    master = f"--flink_master={flink_rest}"
    options = PipelineOptions(list(beam_args("flink-cluster", 2, [*java_and_jar, master])))
    environment = json.loads(options.view_as(PortableOptions).environment_config)
    assert Path(environment["command"]).stat().st_mode & 0o100, "task managers execute it"
    assert options.view_as(FlinkRunnerOptions).flink_master == flink_rest
    assert beam_args("flink", 2, [*java_and_jar, master]) == beam_args("flink-cluster", 2, [*java_and_jar, master])


def test_dataflow_knows_every_option() -> None:
    # Beam's own validation asks Google Cloud for the bucket.
    assert PipelineOptions(list(beam_args("dataflow", 4, _DATAFLOW))).get_all_options(drop_default=True) == {
        "runner": "DataflowRunner",
        "project": "flowers",
        "region": "europe-west1",
        "temp_location": "gs://flowers/tmp",
        "sdk_container_image": "europe-docker.pkg.dev/flowers/beam:1",
        "sdk_location": "container",
        "max_num_workers": 4,
    }


def test_other_runners_get_their_options_alone() -> None:
    assert beam_args("SparkRunner", 0, ["--spark_job_server_jar=x.jar"]) == (
        "--runner=SparkRunner", "--spark_job_server_jar=x.jar",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("runner", "workers", "extra", "message"),
    [
        ("flnk", 0, [], "choose one of direct, multi_processing"),
        ("DaskRunner", 0, [], "loses outputs"),
        ("direct", 2, [], "use --beam-runner multi_processing"),
        ("direct", 0, ["runner=x"], "write it as --beam-arg=--name=value"),
        ("direct", 0, ["--runner=FlinkRunner"], "--beam-runner FlinkRunner"),
        ("flink", 2, ["--flink_job_server_jar=/nowhere/job-server.jar"], "make flink-jar"),
        ("flink", 2, ["--job_server_java_launcher=no-such-java"], "'no-such-java' cannot be found"),
        ("dataflow", 2, _DATAFLOW[:2], "--beam-arg=--temp_location=... --beam-arg=--sdk_container_image=..."),
        ("dataflow", 2, [*_DATAFLOW, "--temp_location=/tmp"], "needs a gs:// folder"),
    ],
)
def test_what_is_missing_is_one_line(
    java_and_jar: list[str], runner: str, workers: int, extra: list[str], message: str
) -> None:
    with pytest.raises(UserError) as error:
        beam_args(runner, workers, extra)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_flink_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="needs Java 17"):
        beam_args("flink", 2)


def test_cluster_that_does_not_answer() -> None:
    with pytest.raises(UserError, match=r"no Flink cluster answers at 127\.0\.0\.1:1 \(Connection refused\)"):
        flink.check_cluster("127.0.0.1:1", 1)


def test_cluster_with_too_few_slots(flink_rest: str) -> None:
    flink.check_cluster(f"http://{flink_rest}", 2)
    with pytest.raises(UserError, match="has 2 task slots for 3 workers"):
        flink.check_cluster(flink_rest, 3)


def test_dataflow_cannot_write_here() -> None:
    args = beam_args("dataflow", 0, _DATAFLOW)
    prepare(args, "gs://flowers/root")
    with pytest.raises(UserError, match="has to run on Kubeflow"):
        prepare(args, "/home/me/output")


def test_a_wrong_runner_is_found_before_the_data(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--beam-runner"):
        build_config(collect_run_options("quickstart", output=str(tmp_path), photos="/nowhere", beam_runner="none"))


def test_records_of_workers_are_shown_under_their_own_loggers(caplog: pytest.LogCaptureFixture) -> None:
    forward_worker_logs()
    forward_worker_logs()
    beam_logger = logging.getLogger("apache_beam.runners.portability.local_job_service")
    module = Path(flink.__file__).parents[2] / "components/common/progress.py"
    locations = {f"{module}:28": 'Photos: 64/200 "photos"', "/usr/lib/python3/logging.py:1": "not ours"}
    locations[f"{module}:29"] = "Extracting features: 64/200 photos"
    with caplog.at_level(logging.INFO):
        for location, message in locations.items():
            entry = beam_fn_api_pb2.LogEntry(severity=3, message=message, log_location=location)
            beam_logger.info("Worker: %s", str(entry).replace("\n", " "))
    shown = [record for record in caplog.records if record.name == "components.common.progress"]
    assert [record.getMessage() for record in shown] == [
        'Photos: 64/200 "photos"', "Extracting features: 64/200 photos",
    ]  # fmt: skip
    assert shown[1].progress["completed"] == 64
