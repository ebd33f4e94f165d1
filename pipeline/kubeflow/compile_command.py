"""`kubeflow_runner.py compile`: from options to a pipeline file."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import click

from components.common.errors import UserError
from components.modeling.backbones.registry import BACKBONES, find_backbone
from pipeline.cli.run_options import SectionedCommand, collect_run_options, run_options
from pipeline.config import PUSHED_BASELINE, BackboneConfig, PipelineConfig, RunOptions
from pipeline.kubeflow.cluster import ClusterSettings, Resources, default_resources, kubernetes_name
from pipeline.presets import build_config

# Inside a container; it is lost with the container.
_WORK_ROOT = "/tmp/flowers"  # noqa: S108
# Options of a local run, or declared below.
_LOCAL_OPTIONS = frozenset({"output", "metadata", "no_cache"})


@run_options(without=_LOCAL_OPTIONS)
@click.command("compile", cls=SectionedCommand)
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
    default=_WORK_ROOT,
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
    settings = _cluster_settings(image, pipeline_root.rstrip("/"), options)
    config = _container_config(collect_run_options(output=pipeline_root, **options), **containers)
    if not settings.serving_model_dir:
        # TensorFlow addresses MinIO as s3://.
        root = settings.pipeline_root.replace("minio://", "s3://")
        settings = dataclasses.replace(settings, serving_model_dir=f"{root}/serving_model/{config.name}")
    compile_pipeline(config, settings, Path(package))
    click.echo(f"Wrote {package}: pipeline {config.name}, {settings.image}, root {settings.pipeline_root}")


def _container_config(options: RunOptions, baseline: str, photos_path: str, work_root: str) -> PipelineConfig:
    """Builds the configuration of a pipeline that runs in containers, without access to the network or the cluster.

    `options.output` is the pipeline root.
    """
    from components.photos.manifest import is_manifest
    from components.storage.objects import is_remote

    if photos_path and is_manifest(photos_path) != is_manifest(options.data.photos):
        raise UserError(
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
    return dataclasses.replace(
        config,
        name=kubernetes_name(config.name),
        output=options.output.rstrip("/"),
        data=data,
        baseline=baseline,
        work_root=work_root,
    )


def _backbone(options: RunOptions) -> BackboneConfig | None:
    """Describes a backbone without loading it; None for a local folder."""
    name = options.backbone.name
    known = find_backbone(name)
    image_size = known.input_size(options.backbone.image_size) if known else options.backbone.image_size
    if image_size:
        return BackboneConfig(name=name, image_size=image_size)
    if not Path(name).expanduser().is_dir():
        raise UserError(f"backbone {name} is unknown; add --image-size HxW, or use one of {', '.join(BACKBONES)}")
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
        raise UserError(f"cannot read {text!r}; use {form}")
    return name, value
