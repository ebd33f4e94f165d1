"""Named sets of defaults, and the resolution of a user's choices to a `PipelineConfig`."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from components.common.errors import UserError
from components.modeling.hyperparameters import REFERENCE, STRONG
from pipeline.config import BackboneConfig, DataConfig, PipelineConfig, RunOptions


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named set of defaults."""

    summary: str  # for `--help`
    options: Mapping[str, Any]  # by option name, with underscores


PRESETS: Final = {
    "quickstart": Preset(
        "1,600 generated flowers and an embedded backbone, without downloads",
        {"dataset": "synthetic_flowers", "backbone": "efficientnet_lite0", "min_accuracy": 0.75, "recipe": STRONG},
    ),
    "tf_flowers": Preset(
        "the reference recipe: 3,670 photos, Inception V3 from TF Hub",
        {"dataset": "tf_flowers", "backbone": "inception_v3", "min_accuracy": 0.8, "recipe": REFERENCE},
    ),
}


def build_config(options: RunOptions, backbone: BackboneConfig | None = None) -> PipelineConfig:
    """Resolves the photo source and the backbone; `backbone` None loads it.

    Raises UserError if the photos, the backbone or the Beam runner cannot be used.
    """
    options.beam.to_args()  # checks Beam before steps that may download, or import TensorFlow
    data, name = _data_config(options)
    backbone = backbone or _backbone_config(options)
    return PipelineConfig(**{**vars(options), "name": name, "data": data, "backbone": backbone})


def _data_config(options: RunOptions) -> tuple[DataConfig, str]:
    """Returns the resolved photo source and the pipeline's name."""
    from components.example_gen.data_source import SYNTHETIC_FLOWERS, describe_source
    from components.photos.corrections import read_corrections
    from components.storage.objects import is_remote

    given = options.data
    # Absolute, because ML Metadata records the path and workers read it.
    is_local = given.photos and not is_remote(given.photos)
    photos = str(Path(given.photos).expanduser().absolute()) if is_local else given.photos
    dataset = "" if photos else given.dataset
    # Hosted datasets stay in TFDS's folder (TFDS_DATA_DIR), shared by all projects.
    data_dir = f"{options.output}/datasets" if photos or dataset == SYNTHETIC_FLOWERS else ""
    data = dataclasses.replace(given, photos=photos, dataset=dataset, data_dir=data_dir)
    corrections = read_corrections(data.relabel, data.exclude)
    description = describe_source(data)
    resolved = DataConfig(
        **vars(data),
        corrections=json.dumps(corrections) if corrections else "",
        class_names=description.class_names,
        fingerprint=description.fingerprint,
    )
    return resolved, _pipeline_name(description.name, description.class_names, bool(photos))


def _pipeline_name(dataset: str, class_names: tuple[str, ...], own_photos: bool) -> str:
    """Names include a digest of the user's classes: models are compared with earlier ones of the same pipeline."""
    slug = re.sub(r"[^A-Za-z0-9]+", "_", dataset).strip("_") or "photos"
    if not own_photos:
        return slug
    return f"{slug}-{hashlib.sha256(json.dumps(class_names).encode()).hexdigest()[:6]}"


def _backbone_config(options: RunOptions) -> BackboneConfig:
    from components.modeling.backbones.loading import prepare_backbone

    name = options.backbone.name
    if Path(name).expanduser().is_dir():
        name = str(Path(name).expanduser().absolute())
    _, info = prepare_backbone(name, options.backbone.image_size)
    if options.fine_tuning and not info.trainable:
        raise UserError(
            f"backbone {name} cannot be fine-tuned: it has no trainable variables; remove --fine-tune, or choose "
            "another --backbone"
        )
    return BackboneConfig(name=name, image_size=info.image_size, digest=info.digest)
