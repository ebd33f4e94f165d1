"""Beam's pipeline options for each runner.

The options are part of the cache key of every Beam component, so they hold nothing that changes from run to run, such
as a port.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from components.common.errors import UserError
from pipeline.beam_runners import flink

DIRECT: Final = "direct"

# Workers run in this environment. Unless an image is named, TFX builds a package for each component that no worker
# installs.
_NO_PACKAGE: Final = "--sdk_container_image=none"
# Without it each job stages `pip freeze`, and environments without pip print an error.
_NO_FREEZE: Final = "--experiments=disable_logging_submission_environment"
_FLINK_RUNNER: Final = "pipeline.beam_runners.flink_runner.FlinkRunner"
# What Beam's DirectRunner uses in the end. Under the name DirectRunner, Beam first tries to download Prism, a runner in
# Go, for every pipeline.
_IN_PROCESS: Final = "--runner=FnApiRunner"
_DATAFLOW: Final = "--runner=DataflowRunner"
_MULTI_PROCESSING: Final = "--direct_running_mode=multi_processing"
_DATAFLOW_NEEDS: Final = ("project", "region", "temp_location", "sdk_container_image")
_BEAM_NAMES: Final = {"DirectRunner": DIRECT, "FlinkRunner": "flink", "DataflowRunner": "dataflow"}


def beam_args(runner: str, workers: int = 0, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Builds the pipeline options of a runner: one of `RUNNERS`, or one of Beam's, which gets only `extra`.

    0 workers are one per CPU of this machine. Options `--name=value` in `extra` replace the runner's defaults. Raises
    UserError if the runner is unknown, or lacks something that it needs.
    """
    given = _parse(extra)
    name = _BEAM_NAMES.get(runner, runner)
    if name == "DaskRunner":
        raise UserError("--beam-runner DaskRunner is not supported, because it loses outputs: choose another")
    if name in RUNNERS:
        defaults = RUNNERS[name](workers, given)
    elif name.endswith("Runner"):
        defaults = [f"--runner={name}"]
    else:
        raise UserError(f"--beam-runner is {runner!r}; choose one of {', '.join(RUNNERS)}, or a Beam runner's name")
    return (*(option for option in defaults if _name(option) not in given), *extra)


def prepare(args: Sequence[str], output: str) -> None:
    """Prepares this process for pipelines with options from `beam_args`; workers must be able to reach the output."""
    if _DATAFLOW in args and "://" not in output:
        raise UserError(
            f"Dataflow's workers cannot read {output}: use a gs:// folder; a whole pipeline has to run on Kubeflow "
            "with a gs:// pipeline root"
        )
    if _MULTI_PROCESSING in args:
        from pipeline.beam_runners.worker_logs import forward_worker_logs

        forward_worker_logs()
        # Workers share this terminal, and their imports print warnings.
        os.environ.setdefault("PYTHONWARNINGS", "ignore")
    if f"--flink_master={flink.EMBEDDED}" in args:
        # The embedded Flink listens on the loopback interface only, unless the user sets it.
        os.environ.setdefault("FLINK_CONF_DIR", str(Path(__file__).parent / "flink_conf"))


def _parse(extra: Sequence[str]) -> dict[str, str]:
    for option in extra:
        if not option.startswith("--") or len(option) == len("--"):
            raise UserError(f"--beam-arg is {option!r}; write it as --beam-arg=--name=value")
    given = {_name(option): option.partition("=")[2] for option in extra}
    if "runner" in given:
        raise UserError(f"choose the runner with --beam-runner {given['runner']}, not with --beam-arg")
    return given


def _name(option: str) -> str:
    return option.partition("=")[0].lstrip("-")


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _direct(workers: int, given: Mapping[str, str]) -> list[str]:
    if workers > 1 and "direct_running_mode" not in given:
        raise UserError(f"--beam-runner direct has one worker, not {workers}: use --beam-runner multi_processing")
    scale = [f"--direct_num_workers={workers}"] if workers > 1 else []
    return [_IN_PROCESS, *scale, _NO_PACKAGE]


def _multi_processing(workers: int, _: Mapping[str, str]) -> list[str]:
    return [_IN_PROCESS, _MULTI_PROCESSING, f"--direct_num_workers={workers or _cpus()}", _NO_PACKAGE]


def _flink(workers: int, given: Mapping[str, str]) -> list[str]:
    """An embedded Flink whose workers are threads of this process: TensorFlow is loaded once, logs arrive here."""
    if not given.get("flink_master", flink.EMBEDDED).startswith("["):
        return _flink_cluster(workers, given)
    return [
        f"--runner={_FLINK_RUNNER}",
        f"--flink_master={flink.EMBEDDED}",
        *flink.job_server_args(given),
        f"--parallelism={workers or _cpus()}",
        "--environment_type=LOOPBACK",
        _NO_PACKAGE,
        _NO_FREEZE,
    ]


def _flink_cluster(workers: int, given: Mapping[str, str]) -> list[str]:
    """A running Flink cluster whose task managers start worker processes in this environment."""
    master = given.get("flink_master", "localhost:8081")
    job_server = flink.job_server_args(given)
    parallelism = workers or _cpus()
    flink.check_cluster(master, parallelism)
    return [
        f"--runner={_FLINK_RUNNER}",
        f"--flink_master={master}",
        *job_server,
        f"--parallelism={parallelism}",
        _NO_FREEZE,
        *([] if "environment_type" in given else [*flink.worker_process_args(), _NO_PACKAGE]),
    ]


def _dataflow(workers: int, given: Mapping[str, str]) -> list[str]:
    missing = [f"--beam-arg=--{name}=..." for name in _DATAFLOW_NEEDS if not given.get(name)]
    if missing:
        raise UserError(f"--beam-runner dataflow also needs {' '.join(missing)}")
    if not given["temp_location"].startswith("gs://"):
        raise UserError(f"--temp_location is {given['temp_location']!r}; Dataflow needs a gs:// folder")
    scale = [f"--max_num_workers={workers}"] if workers else []
    return [_DATAFLOW, *scale, "--sdk_location=container"]


RUNNERS: Final[dict[str, Callable[[int, Mapping[str, str]], list[str]]]] = {
    DIRECT: _direct,
    "multi_processing": _multi_processing,
    "flink": _flink,
    "flink-cluster": _flink_cluster,
    "dataflow": _dataflow,
}
