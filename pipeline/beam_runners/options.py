"""From a runner's name to Beam's pipeline options.

Called by `pipeline.presets`. TFX passes the options to every Beam component; they are part of its cache key, so they
hold nothing that changes from run to run, such as a port.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from components.errors import UserError
from pipeline.beam_runners import flink

DIRECT: Final = "direct"

# Workers of these runners are this environment. Unless an image is named, TFX builds a package of itself for each
# component, which nothing would install.
_NO_PACKAGE: Final = "--sdk_container_image=none"
_DATAFLOW_NEEDS: Final = ("project", "region", "temp_location", "sdk_container_image")
_BEAM_NAMES: Final = {"DirectRunner": DIRECT, "FlinkRunner": "flink", "DataflowRunner": "dataflow"}


def beam_args(runner: str, workers: int = 0, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Builds the pipeline options of a runner.

    Args:
        runner: A name of `RUNNERS`, or a Beam runner's own, such as `SparkRunner`, which gets `extra` alone.
        workers: Parallel workers; 0 is one per CPU of this machine.
        extra: Options `--name=value`; they replace those that follow from the runner.

    Returns:
        The options; none for `direct` with one worker.

    Raises:
        UserError: The runner is not known, or lacks something that it needs.
    """
    given = _parse(extra)
    name = _BEAM_NAMES.get(runner, runner)
    if name == "DaskRunner":
        raise UserError("--beam-runner DaskRunner is not offered: it loses outputs of pipelines with several of them")
    if name in RUNNERS:
        defaults = RUNNERS[name](workers, given)
    elif name.endswith("Runner"):
        defaults = [f"--runner={name}"]
    else:
        raise UserError(f"--beam-runner is {runner!r}; choose one of {', '.join(RUNNERS)}, or a Beam runner's name")
    return (*(option for option in defaults if _name(option) not in given), *extra)


def check_output(args: Sequence[str], output: str) -> None:
    """Checks that a runner's workers can reach the output.

    Args:
        args: Beam's pipeline options.
        output: Folder or remote root that artifacts are written under.

    Raises:
        UserError: They cannot.
    """
    if "--runner=DataflowRunner" in args and "://" not in output:
        raise UserError(f"Dataflow's workers cannot read {output}: run on Kubeflow with a gs:// pipeline root instead")


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
    return [*scale, _NO_PACKAGE] if given else []


def _multi_processing(workers: int, _: Mapping[str, str]) -> list[str]:
    return [
        "--runner=DirectRunner",
        "--direct_running_mode=multi_processing",
        f"--direct_num_workers={workers or _cpus()}",
        _NO_PACKAGE,
    ]


def _flink(workers: int, given: Mapping[str, str]) -> list[str]:
    """An embedded Flink whose workers are threads of this process: TensorFlow is loaded once, logs arrive here."""
    if not given.get("flink_master", flink.EMBEDDED).startswith("["):
        return _flink_cluster(workers, given)
    flink.listen_on_loopback_only()
    return [
        "--runner=FlinkRunner",
        f"--flink_master={flink.EMBEDDED}",
        *flink.job_server_args(given),
        f"--parallelism={workers or _cpus()}",
        "--environment_type=LOOPBACK",
        _NO_PACKAGE,
    ]


def _flink_cluster(workers: int, given: Mapping[str, str]) -> list[str]:
    """A running Flink cluster whose task managers start worker processes in this environment."""
    master = given.get("flink_master", flink.DEFAULT_MASTER)
    job_server = flink.job_server_args(given)
    parallelism = workers or _cpus()
    flink.check_cluster(master, parallelism)
    return [
        "--runner=FlinkRunner",
        f"--flink_master={master}",
        *job_server,
        f"--parallelism={parallelism}",
        *([] if "environment_type" in given else [*flink.worker_process_args(), _NO_PACKAGE]),
    ]


def _dataflow(workers: int, given: Mapping[str, str]) -> list[str]:
    missing = [f"--beam-arg=--{name}=..." for name in _DATAFLOW_NEEDS if not given.get(name)]
    if missing:
        raise UserError(f"--beam-runner dataflow also needs {' '.join(missing)}")
    if not given["temp_location"].startswith("gs://"):
        raise UserError(f"--temp_location is {given['temp_location']!r}; Dataflow needs a gs:// folder")
    scale = [f"--max_num_workers={workers}"] if workers else []
    return ["--runner=DataflowRunner", *scale, "--sdk_location=container"]


RUNNERS: Final[dict[str, Callable[[int, Mapping[str, str]], list[str]]]] = {
    DIRECT: _direct,
    "multi_processing": _multi_processing,
    "flink": _flink,
    "flink-cluster": _flink_cluster,
    "dataflow": _dataflow,
}
