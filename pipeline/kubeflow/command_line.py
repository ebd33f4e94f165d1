"""The command line of `kubeflow_runner.py`.

Commands import TensorFlow, TFX and kfp only when they run, so that `--help` is fast.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.common.errors import UserError
from components.contracts.output_folder import METADATA_FILE
from pipeline.kubeflow.compile_command import compile_

if TYPE_CHECKING:
    from pipeline.kubeflow.connection import Connection


def _pairs(_context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = dict(value.partition("=")[::2] for value in values)
    if any(not name or not value for name, value in pairs.items()):
        raise click.BadParameter(f"use {parameter.metavar}")
    return pairs


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Run the pipeline on Kubeflow Pipelines v2."""


cli.add_command(compile_)


_SUBMISSION_OPTIONS = (
    click.option(
        "--package", metavar="FILE", default="build/pipeline.yaml", show_default=True, help="Compiled pipeline."
    ),
    click.option(
        "--host", metavar="URL", required=True, envvar="FLOWERS_KFP_HOST", help="Address of Kubeflow Pipelines."
    ),
    click.option("--namespace", metavar="NAME", default="", help="Your namespace in a multi-user installation."),
    click.option("--experiment", metavar="NAME", default="flowers", show_default=True),
    click.option("--pipeline-root", metavar="URI", default="", help="[default: the compiled one]"),
    click.option(
        "--param",
        "parameters",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_pairs,
        help="Run-time parameter; repeatable.",
    ),
)


def _submission_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_SUBMISSION_OPTIONS):
        command = option(command)
    return command


def _connection(host: str, namespace: str) -> "Connection":
    import os

    from pipeline.kubeflow.connection import COOKIE_VARIABLE, TOKEN_VARIABLE, Connection

    return Connection(host, namespace, os.environ.get(TOKEN_VARIABLE, ""), os.environ.get(COOKIE_VARIABLE, ""))


@cli.command()
@_submission_options
@click.option("--run-name", metavar="NAME", default="", help="[default: the pipeline's name and the time]")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the run until it ends.")
@click.option("--watch", is_flag=True, help="Print a line for each change of a task, with its log's address.")
@click.option("--poll-seconds", type=click.FloatRange(min=0.1), default=5.0, show_default=True)
def submit(host: str, namespace: str, wait: bool, watch: bool, poll_seconds: float, **options: Any) -> None:
    """Upload a compiled pipeline, start a run, and follow it.

    Credentials are read from the environment variables FLOWERS_KFP_TOKEN (a bearer token) or FLOWERS_KFP_COOKIE.
    Exit status: 0 if the run succeeded or was started, 1 if it failed, 2 for wrong usage.
    """
    from rich.console import Console

    from pipeline.kubeflow import follow
    from pipeline.kubeflow.submit import Submission, start_run

    if watch and not wait:
        raise click.UsageError("--watch and --no-wait exclude each other")
    console = Console()
    connection = _connection(host, namespace)
    run = start_run(connection, Submission(Path(options.pop("package")), **options))
    console.print(f"Started: {connection.run_url(run.id)}", soft_wrap=True, markup=False)
    if not wait:
        return
    try:
        state = follow.follow_run(connection, run, console, poll_seconds, line_by_line=watch)
    except KeyboardInterrupt:
        console.print("Stopped following; the run continues.")
        sys.exit(130)
    console.print(f"Run {state.lower()}.")
    sys.exit(0 if state == follow.SUCCEEDED else 1)


@cli.command()
@_submission_options
@click.option(
    "--cron",
    metavar="TIMES",
    required=True,
    help="Such as '30 3 * * *'; six fields begin with seconds.",
)
@click.option(
    "--name",
    metavar="NAME",
    default="",
    help="Name of the schedule; replaces one of the same name.  [default: the pipeline's name]",
)
def schedule(host: str, namespace: str, cron: str, name: str, **options: Any) -> None:
    """Upload a compiled pipeline and schedule recurring runs.

    Credentials and exit status are as for submit.
    """
    from pipeline.kubeflow.submit import Submission, start_schedule

    connection = _connection(host, namespace)
    scheduled = start_schedule(connection, Submission(Path(options.pop("package")), **options), cron, name)
    click.echo(f"Scheduled {scheduled.name} at '{scheduled.cron}': {connection.schedule_url(scheduled.id)}")
    for schedule_id in scheduled.replaced:
        click.echo(f"Removed the earlier schedule {schedule_id}.")


@cli.command()
@click.argument("copy", metavar="DIR")
@click.option("--output", metavar="DIR", default="output", show_default=True, help="Folder for metadata.sqlite.")
def collect(copy: str, output: str) -> None:
    """Import runs from a copied pipeline root, for runs, show, report and others.

    DIR is a local copy of a pipeline root with its subfolders (PIPELINE/RUN/TASK/...).
    """
    from pipeline.kubeflow.collect import collect as collect_runs

    if not Path(copy).is_dir():
        raise UserError(f"{copy} is not a folder; copy the pipeline root first, e.g. with gsutil, aws s3 or mc")
    runs = collect_runs(Path(copy), Path(output) / METADATA_FILE)
    for run_id, executions in runs.items():
        click.echo(f"{run_id}: {len(executions)} component{'s' * (len(executions) != 1)}")
    click.echo(f"Next: local_runner.py runs --output {output}")


def main(args: list[str] | None = None) -> Any:
    """Runs the command line; a user error prints one line and exits with status 1."""
    try:
        return cli.main(args, prog_name="kubeflow_runner.py")
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
