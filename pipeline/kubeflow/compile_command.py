"""`kubeflow_runner.py compile`: from options to a pipeline file."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from components.common.errors import UserError
from pipeline.cli.run_options import SectionedCommand, collect_run_options, run_options
from pipeline.config import PUSHED_BASELINE
from pipeline.kubeflow.cluster import ClusterSettings, Resources, default_resources

# Meant for a run on this machine, or chosen anew below.
_NOT_HERE = frozenset({"output", "metadata", "no_cache"})


def _by_component(values: tuple[str, ...]) -> list[tuple[str, str]]:
    return [_pair(value, ":", "COMPONENT:NAME=VALUE (* is every component)") for value in values]


@run_options(without=_NOT_HERE)
@click.command("compile", cls=SectionedCommand)
@click.option("--image", metavar="NAME", required=True, help="Container image, best as NAME@sha256:DIGEST.")
@click.option("--pipeline-root", metavar="URI", required=True, help="minio://, s3:// or gs:// folder for artifacts.")
@click.option("--package", metavar="FILE", default="build/pipeline.yaml", show_default=True, help="What to write.")
@click.option(
    "--baseline",
    metavar="pushed|none|URI",
    default=PUSHED_BASELINE,
    show_default=True,
    help="The model that a new one may not fall behind: the one pushed last, none, or a Trainer's Model artifact.",
)
@click.option("--serving-model-dir", metavar="URI", default="", help="[default: serving_model below the root]")
@click.option(
    "--photos-path", metavar="PATH", default="", help="Where containers find --photos: a folder, or gs:// or s3://."
)
@click.option("--container-data-dir", metavar="DIR", default="", help="Where containers keep TFDS datasets.")
@click.option("--work-root", metavar="DIR", default="", help="On a volume: interrupted training is resumed.")
@click.option("--volume", "volumes", metavar="CLAIM:PATH", multiple=True, help="Mount a PersistentVolumeClaim.")
@click.option("--env", "env", metavar="NAME=VALUE", multiple=True, help="Environment variable of the containers.")
@click.option("--secret-env", metavar="SECRET:KEY=NAME", multiple=True, help="Environment variable from a secret.")
@click.option("--resources", metavar="COMPONENT:cpu=2,memory=4G,gpu=1", multiple=True, help="Requests and limits.")
@click.option("--node-selector", "selectors", metavar="COMPONENT:LABEL=VALUE", multiple=True, help="Choose nodes.")
@click.option("--retries", type=click.IntRange(min=0), default=2, show_default=True, help="Per component.")
@click.option("--no-cache", is_flag=True, help="Tell Kubeflow not to answer from its cache.")
def compile_(package: str, image: str, pipeline_root: str, **options: Any) -> None:
    """Write the pipeline as a file for Kubeflow Pipelines v2.

    The options below the first ones are those of `local_runner.py run`; dataset, backbone, epochs, learning rate and
    others can be changed per run (submit --param).
    """
    from pipeline.local_run.logs import divert_native_output

    divert_native_output(None)
    try:
        import kfp.kubernetes  # noqa: F401
    except ImportError as error:
        raise UserError(f"compiling needs the kubeflow extra ({error}): pip install '.[kubeflow]'") from error
    from pipeline.kubeflow.compiler.compile import compile_pipeline
    from pipeline.kubeflow.compiler.options import WORK_ROOT, ContainerPaths, build_container_config

    paths = ContainerPaths(
        options.pop("photos_path"), options.pop("container_data_dir"), options.pop("work_root") or WORK_ROOT
    )
    baseline = options.pop("baseline")
    settings = _cluster_settings(image, pipeline_root.rstrip("/"), options)
    config = build_container_config(collect_run_options(output=pipeline_root, **options), baseline, paths)
    if not settings.serving_model_dir:
        # TensorFlow's name for MinIO is s3://.
        root = settings.pipeline_root.replace("minio://", "s3://")
        settings = dataclasses.replace(settings, serving_model_dir=f"{root}/serving_model/{config.name}")
    compile_pipeline(config, settings, Path(package))
    click.echo(f"Wrote {package}: pipeline {config.name}, {settings.image}, root {settings.pipeline_root}")


def _cluster_settings(image: str, pipeline_root: str, options: dict[str, Any]) -> ClusterSettings:
    """Takes the cluster's options out of all options."""
    return ClusterSettings(
        image=image,
        pipeline_root=pipeline_root,
        serving_model_dir=options.pop("serving_model_dir"),
        resources=_resources(options.pop("resources")),
        node_selectors=_nested(options.pop("selectors")),
        volumes=dict(_pair(volume, ":", "CLAIM:PATH") for volume in options.pop("volumes")),
        env=dict(_pair(variable, "=", "NAME=VALUE") for variable in options.pop("env")),
        secret_env=_nested(options.pop("secret_env")),
        retries=options.pop("retries"),
        enable_cache=not options.pop("no_cache"),
    )


def _resources(values: tuple[str, ...]) -> dict[str, Resources]:
    return {component: Resources.parse(text, default_resources(component)) for component, text in _by_component(values)}


def _nested(values: tuple[str, ...]) -> dict[str, dict[str, str]]:
    result: dict[str, dict[str, str]] = {}
    for outer, text in _by_component(values):
        name, value = _pair(text, "=", "NAME=VALUE")
        result.setdefault(outer, {})[name] = value
    return result


def _pair(text: str, separator: str, form: str) -> tuple[str, str]:
    name, _, value = text.partition(separator)
    if not name or not value:
        raise UserError(f"{text!r} is not understood; give {form}")
    return name, value
