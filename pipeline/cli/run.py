"""`local_runner.py run`: the whole pipeline on this machine."""

import dataclasses
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from components.common.errors import UserError, usage_errors
from components.contracts.output_folder import LOGS_FOLDER
from pipeline.cli.group import INTERRUPTED_EXIT_STATUS
from pipeline.cli.lean_start import skip_tfx_components_init, uncollected_imports
from pipeline.cli.run_options import SectionedCommand, collect_run_options, run_options
from pipeline.config import RunOptions

NOT_BLESSED_EXIT_STATUS = 3
FAILED_AFTER_PUSH_EXIT_STATUS = 5


@run_options()
@click.command(cls=SectionedCommand)
@click.option("--verbose", is_flag=True, help="Show the logs of TensorFlow, TFX and Beam as well.")
def run(output: str, verbose: bool, **values: Any) -> None:
    """Ingest, validate, transform, extract features, train, evaluate, and push if blessed.

    Exit status: 0 pushed; 1 failed while running; 2 the command line cannot be used, such as a value out of range, an
    unknown name or a missing file; 3 not blessed (nothing was pushed); 5 pushed, but a later
    component failed; 130 interrupted.
    """
    from pipeline.local_run.console import RunConsole
    from pipeline.local_run.logs import configure_logging, divert_native_output

    bucket = _bucket(output, values["photos"] or "")
    # With artifacts in a bucket, ML Metadata, logs, reports and working copies stay on this machine.
    options = collect_run_options(output=_output_folder(RunOptions().output if bucket else output), **values)
    console = RunConsole()
    console.starting()
    log_file = Path(options.output) / LOGS_FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    configure_logging(console, log_file, verbose)
    if not verbose:
        divert_native_output(log_file)
    sys.exit(_run(options, bucket, console, log_file, verbose))


def _bucket(output: str, photos: str) -> str:
    """Returns the URI of a bucket for artifacts; empty for a local folder."""
    from components.common.errors import refuse_credentials
    from components.storage.objects import WRITABLE_SCHEMES, is_remote

    if not is_remote(output):
        return ""
    with usage_errors():
        refuse_credentials("--output", output)
        if not output.startswith(WRITABLE_SCHEMES):
            schemes = ", ".join(WRITABLE_SCHEMES)
            raise UserError(f"cannot write to --output {output}: expected a folder, or a URI with one of {schemes}")
        if photos and output.startswith(f"{photos.rstrip('/')}/"):
            raise UserError(f"--output {output} is below --photos {photos}: choose another place")
    return output.rstrip("/")


def _output_folder(output: str) -> str:
    path = Path(output).expanduser().resolve()
    with usage_errors():
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / LOGS_FOLDER).mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to --output {output}: {error.strerror}; choose another folder") from error
    return str(path)


def _run(options: RunOptions, bucket: str, console: Any, log_file: Path, verbose: bool) -> int:
    from pipeline.local_run.failures import report_failure, was_interrupted
    from pipeline.local_run.workspace import locked_output, temporary_folder

    try:
        if options.metadata:
            from pipeline.records.connection import check_recordable, connect

            # Reports an unreachable server before the data is read.
            check_recordable(options.metadata)
            connect(options.metadata)
        with locked_output(options.output), temporary_folder(options.output):
            status = _run_alone(options, bucket, console)
        for node, error in console.failed_nodes.items():
            report_failure(error, console, log_file, verbose, f"error: {node} failed, after the push: ")
        return FAILED_AFTER_PUSH_EXIT_STATUS if console.failed_nodes and not status else status
    except BaseException as error:
        console.stop()
        if was_interrupted(error):
            console.console.print("interrupted: finished components are kept; the same command goes on from there")
            return INTERRUPTED_EXIT_STATUS
        if not isinstance(error, Exception):
            raise
        return report_failure(error, console, log_file, verbose)


def _run_alone(options: RunOptions, bucket: str, console: Any) -> int:
    from pipeline.beam_runners.beam_args import prepare
    from pipeline.presets import build_config

    # Before the slow import of TFX, so that wrong input is reported at once.
    config = dataclasses.replace(build_config(options), bucket=bucket)
    prepare(config.beam_args, config.output)
    console.configured(config)
    with uncollected_imports():
        skip_tfx_components_init()
        import psutil

        from pipeline.local_run import runner as local
        from pipeline.local_run.outcome import print_outcome
        from pipeline.local_run.recovery import recovering
        from pipeline.records.connection import connect
        from pipeline.records.metadata import record_times
        from pipeline.records.store import open_store
        from pipeline.report.page import write_report_after_run

    started = psutil.Process().create_time()
    with recovering(config):
        run_id = local.run(config, console, started)
    console.stop()
    report = write_report_after_run(open_store(config.output, config.metadata).run(run_id))
    record_times(connect(config.metadata_uri), run_id, started)
    finished = open_store(config.output, config.metadata).run(run_id)
    print_outcome(console, config, finished)
    console.console.print(f"Report:          {report}", markup=False)
    return 0 if finished.blessed else NOT_BLESSED_EXIT_STATUS
