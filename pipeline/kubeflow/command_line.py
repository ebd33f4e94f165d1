"""The command line of `kubeflow_runner.py`.

Commands import TensorFlow, TFX and kfp only when they run, so that `--help` is fast.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.common.errors import UsageError, UserError, usage_errors
from components.common.text import counted, suggestion
from components.contracts.output_folder import METADATA_FILE
from components.modeling.backbones.registry import BACKBONES, find_backbone
from pipeline.cli.group import CommandGroup, echo, run_command_line
from pipeline.cli.run_options import SectionedCommand, collect_run_options, run_options
from pipeline.config import PUSHED_BASELINE, BackboneConfig, PipelineConfig, RunOptions
from pipeline.kubeflow.cluster import ClusterSettings, Resources, default_resources, kubernetes_name
from pipeline.presets import build_config

if TYPE_CHECKING:
    from pipeline.kubeflow.connection import Connection


def _pairs(_context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = dict(value.partition("=")[::2] for value in values)
    if any(not name or not value for name, value in pairs.items()):
        raise click.BadParameter(f"use {parameter.metavar}")
    return pairs


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Run the pipeline on Kubeflow Pipelines v2."""


# The options left out are those of a local run, or declared below.
@run_options(without=frozenset({"output", "metadata", "no_cache"}))
@cli.command("compile", cls=SectionedCommand)
@click.option("--image", metavar="NAME", required=True, help="Container image, preferably NAME@sha256:DIGEST.")
@click.option("--pipeline-root", metavar="URI", required=True, help="Folder for artifacts: minio://, s3:// or gs://.")
@click.option("--package", metavar="FILE", default="build/pipeline.yaml", show_default=True, help="File to write.")
@click.option(
    "--baseline",
    metavar="pushed|none|URI",
    default=PUSHED_BASELINE,
    show_default=True,
    help="Model to compare a new one with: the latest pushed one, none, or a Trainer's Model artifact.",
)
@click.option("--serving-model-dir", metavar="URI", default="", help="[default: serving_model below the root]")
@click.option(
    "--photos-path", metavar="PATH", default="", help="Where containers read --photos: a folder, gs:// or s3://."
)
@click.option(
    "--work-root",
    metavar="DIR",
    default="/tmp/flowers",  # noqa: S108 (inside a container, and lost with it)
    show_default=True,
    help="Folder for checkpoints and TFDS datasets; on a volume, retries resume interrupted training.",
)
@click.option("--volume", "volumes", metavar="CLAIM:PATH", multiple=True, help="Mount a PersistentVolumeClaim.")
@click.option("--env", "env", metavar="NAME=VALUE", multiple=True, help="Environment variable of the containers.")
@click.option("--secret-env", metavar="SECRET:KEY=NAME", multiple=True, help="Environment variable from a secret.")
@click.option("--resources", metavar="COMPONENT:cpu=2,memory=4G,gpu=1", multiple=True, help="CPU, memory and GPUs.")
@click.option(
    "--node-selector", "selectors", metavar="COMPONENT:LABEL=VALUE", multiple=True, help="Required node label."
)
@click.option("--retries", type=click.IntRange(min=0), default=2, show_default=True, help="Per failed component.")
@click.option("--no-cache", is_flag=True, help="Run every component again.")
def compile_(package: str, image: str, pipeline_root: str, **options: Any) -> None:
    """Compile the pipeline to a file for Kubeflow Pipelines v2.

    The sections below hold the options of `local_runner.py run`. Dataset, backbone, epochs, learning rate and others
    can be changed for each run: submit --param.
    """
    from pipeline.local_run.logs import divert_native_output

    divert_native_output(None)
    try:
        import kfp.kubernetes  # noqa: F401
    except ImportError as error:
        raise UserError(f"compile needs the kubeflow extra ({error}): pip install '.[kubeflow]'") from error
    from pipeline.kubeflow.compiler import compile_pipeline

    containers = {name: options.pop(name) for name in ("baseline", "photos_path", "work_root")}
    with usage_errors():
        settings = _cluster_settings(image, pipeline_root.rstrip("/"), options)
    config = _container_config(collect_run_options(output=pipeline_root, **options), **containers)
    if not settings.serving_model_dir:
        # TensorFlow addresses MinIO as s3://.
        root = settings.pipeline_root.replace("minio://", "s3://")
        settings = dataclasses.replace(settings, serving_model_dir=f"{root}/serving_model/{config.name}")
    with usage_errors():
        compile_pipeline(config, settings, Path(package))
    echo(f"Wrote {package}: pipeline {config.name}, {settings.image}, root {settings.pipeline_root}")


def _container_config(options: RunOptions, baseline: str, photos_path: str, work_root: str) -> PipelineConfig:
    """Builds the configuration for containers offline; `options.output` is the pipeline root."""
    from components.photos.manifest import is_manifest
    from components.storage.objects import is_remote

    if photos_path and is_manifest(photos_path) != is_manifest(options.data.photos):
        raise UsageError(
            f"--photos-path {photos_path} and --photos {options.data.photos} must be of one kind: both a manifest, "
            "with the photos beside it, or both a folder"
        )
    backbone = _backbone(options)
    with tempfile.TemporaryDirectory() as folder:
        config = build_config(dataclasses.replace(options, output=folder), backbone)
    data = dataclasses.replace(
        config.data,
        photos=photos_path or config.data.photos,
        data_dir=f"{work_root}/datasets",
        # A bucket's content may change from run to run; the local copy is only read for its classes.
        fingerprint="" if is_remote(photos_path) else config.data.fingerprint,
        fingerprint_per_run=bool(config.data.photos),
    )
    name, output = kubernetes_name(config.name), options.output.rstrip("/")
    return dataclasses.replace(config, name=name, output=output, data=data, baseline=baseline, work_root=work_root)


def _backbone(options: RunOptions) -> BackboneConfig | None:
    """Describes a backbone without loading it; None for a local folder."""
    name = options.backbone.name
    known = find_backbone(name)
    image_size = known.input_size(options.backbone.image_size) if known else options.backbone.image_size
    if image_size:
        return BackboneConfig(name=name, image_size=image_size)
    if not Path(name).expanduser().is_dir():
        raise UsageError(
            f"backbone {name} is unknown{suggestion(name, BACKBONES)}; add --image-size HxW, or use one of "
            f"{', '.join(BACKBONES)}"
        )
    return None


def _cluster_settings(image: str, pipeline_root: str, options: dict[str, Any]) -> ClusterSettings:
    """Takes the cluster's options out of all options."""
    resources = _by_component(options.pop("resources"))
    return ClusterSettings(
        image=image,
        pipeline_root=pipeline_root,
        serving_model_dir=options.pop("serving_model_dir"),
        resources={component: Resources.parse(text, default_resources(component)) for component, text in resources},
        node_selectors=_nested(options.pop("selectors")),
        volumes=dict(_pair(volume, ":", "CLAIM:PATH") for volume in options.pop("volumes")),
        env=dict(_pair(variable, "=", "NAME=VALUE") for variable in options.pop("env")),
        secret_env=_nested(options.pop("secret_env")),
        retries=options.pop("retries"),
        enable_cache=not options.pop("no_cache"),
    )


def _by_component(values: tuple[str, ...]) -> list[tuple[str, str]]:
    return [_pair(value, ":", "COMPONENT:NAME=VALUE; * stands for all components") for value in values]


def _nested(values: tuple[str, ...]) -> dict[str, dict[str, str]]:
    result: dict[str, dict[str, str]] = {}
    for outer, text in _by_component(values):
        name, value = _pair(text, "=", "NAME=VALUE")
        result.setdefault(outer, {})[name] = value
    return result


def _pair(text: str, separator: str, form: str) -> tuple[str, str]:
    name, _, value = text.partition(separator)
    if not name or not value:
        raise UsageError(f"cannot read {text!r}; use {form}")
    return name, value


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
    from pipeline.kubeflow import follow
    from pipeline.kubeflow.submit import Submission, start_run
    from pipeline.terminal import Terminal

    if watch and not wait:
        raise click.UsageError("--watch and --no-wait exclude each other")
    console = Terminal()
    connection = _connection(host, namespace)
    run = start_run(connection, Submission(Path(options.pop("package")), **options))
    console.print(f"Started: {connection.url(f'#/runs/details/{run.id}')}", soft_wrap=True, markup=False)
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
@click.option("--cron", metavar="TIMES", required=True, help="Such as '30 3 * * *'; six fields begin with seconds.")
@click.option(
    "--name", metavar="NAME", default="", help="Replaces a schedule of the same name.  [default: the pipeline's name]"
)
def schedule(host: str, namespace: str, cron: str, name: str, **options: Any) -> None:
    """Upload a compiled pipeline and schedule recurring runs.

    Credentials and exit status are as for submit.
    """
    from pipeline.kubeflow.submit import Submission, start_schedule

    connection = _connection(host, namespace)
    scheduled = start_schedule(connection, Submission(Path(options.pop("package")), **options), cron, name)
    address = connection.url(f"#/recurringrun/details/{scheduled.id}")
    echo(f"Scheduled {scheduled.name} at '{scheduled.cron}': {address}")
    for schedule_id in scheduled.replaced:
        echo(f"Removed the earlier schedule {schedule_id}.")


@cli.command()
@click.argument("copy", metavar="DIR")
@click.option("--output", metavar="DIR", default="output", show_default=True, help="Folder for metadata.sqlite.")
def collect(copy: str, output: str) -> None:
    """Import runs from a copied pipeline root, for runs, show, report and others.

    DIR is a local copy of a pipeline root with its subfolders (PIPELINE/RUN/TASK/...).
    """
    from pipeline.kubeflow.collect import collect as collect_runs

    if not Path(copy).is_dir():
        raise UsageError(f"{copy} is not a folder; copy the pipeline root first, e.g. with gsutil, aws s3 or mc")
    runs = collect_runs(Path(copy), Path(output) / METADATA_FILE)
    for run_id, executions in runs.items():
        echo(f"{run_id}: {counted(len(executions), 'component')}")
    echo(f"Next: local_runner.py runs --output {output}")


def main(args: list[str] | None = None) -> Any:
    """Runs the command line."""
    return run_command_line(cli, args, "kubeflow_runner.py")
