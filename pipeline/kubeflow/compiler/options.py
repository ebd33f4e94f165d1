"""From a user's choices to the configuration that is compiled, without a look at the network or the cluster."""

import dataclasses
import tempfile
from pathlib import Path

from components.common.errors import UserError
from components.modeling.backbones.registry import BACKBONES, find_backbone
from components.photos.manifest import is_manifest
from components.storage.objects import is_remote
from pipeline.config import BackboneConfig, PipelineConfig, RunOptions
from pipeline.kubeflow.compiler.names import kubernetes_name
from pipeline.presets import build_config

# Inside a container; what is written here goes with it.
WORK_ROOT = "/tmp/flowers"  # noqa: S108


@dataclasses.dataclass(frozen=True)
class ContainerPaths:
    """Where containers find what the user names by its place here; empty for the same path.

    Attributes:
        photos: The photos.
        data_dir: Prepared TFDS datasets, on a mounted volume; empty prepares them in the container.
        work_root: Folder for what only a running step needs; on a mounted volume, interrupted training is resumed.
    """

    photos: str = ""
    data_dir: str = ""
    work_root: str = WORK_ROOT


def build_container_config(options: RunOptions, baseline: str, paths: ContainerPaths) -> PipelineConfig:
    """Builds the configuration of a pipeline that runs in containers.

    Args:
        options: The user's choices; `output` is the pipeline root.
        baseline: `pushed`, `none` or the folder of a Model artifact.
        paths: Where containers find things.

    Returns:
        The configuration.

    Raises:
        UserError: A choice is out of range, or the backbone's image size is not known.
    """
    if paths.photos and is_manifest(paths.photos) != is_manifest(options.data.photos):
        raise UserError(
            f"--photos-path {paths.photos} and --photos {options.data.photos} must name the same: a manifest, with the "
            "photos beside it, or a folder"
        )
    backbone = _backbone(options)
    with tempfile.TemporaryDirectory() as folder:
        config = build_config(dataclasses.replace(options, output=folder), backbone)
    data = dataclasses.replace(
        config.data,
        photos=paths.photos or config.data.photos,
        data_dir=paths.data_dir or f"{paths.work_root}/datasets",
        # What is in a bucket may change from run to run; a copy of it was looked at here for its classes.
        fingerprint="" if is_remote(paths.photos) else config.data.fingerprint,
        fingerprint_per_run=bool(config.data.photos),
    )
    return dataclasses.replace(
        config,
        name=kubernetes_name(config.name),
        output=options.output.rstrip("/"),
        data=data,
        baseline=baseline,
        work_root=paths.work_root,
    )


def _backbone(options: RunOptions) -> BackboneConfig | None:
    """Returns what is known of a backbone without loading it; None for a folder that is here."""
    name = options.backbone.name
    known = find_backbone(name)
    image_size = known.input_size(options.backbone.image_size) if known else options.backbone.image_size
    if image_size:
        return BackboneConfig(name=name, image_size=image_size)
    if not Path(name).expanduser().is_dir():
        raise UserError(f"backbone {name} is none of {', '.join(BACKBONES)}: say with --image-size HxW what it reads")
    return None
