"""Named sets of defaults, and the resolution of a user's choices to a `PipelineConfig`."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from components.common.errors import UsageError, usage_errors
from components.common.text import suggestion
from components.evaluator.thresholds import labels_of
from components.modeling.backbones.registry import BACKBONES
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

    Raises UserError if the photos, the backbone or the Beam runner cannot be used: a UsageError if that is known before
    anything is downloaded or TensorFlow is imported.
    """
    with usage_errors():
        options.beam.to_args()
        data, name = _data_config(options)
    _check_names(options, data.class_names)
    backbone = backbone or _backbone_config(options)
    return PipelineConfig(**{**vars(options), "name": name, "data": data, "backbone": backbone})


def _check_names(options: RunOptions, class_names: tuple[str, ...]) -> None:
    """Raises UsageError for an unknown backbone, or a bound on a class that the photos do not have."""
    name = options.backbone.name
    # Anything longer is a URL, a handle or a path.
    if re.fullmatch(r"\w+", name) and name not in BACKBONES and not Path(name).exists():
        raise UsageError(
            f"unknown backbone {name!r}{suggestion(name, BACKBONES)}: give {', '.join(BACKBONES)}, "
            "a TF Hub URL, or a SavedModel folder that exists"
        )
    # Some datasets know their classes only once they are prepared: the Evaluator checks them again.
    if class_names != tuple(map(str, range(len(class_names)))):
        with usage_errors():
            for threshold in options.blessing.thresholds():
                labels_of(threshold.class_name, class_names)


def _data_config(options: RunOptions) -> tuple[DataConfig, str]:
    """Returns the resolved photo source and the pipeline's name."""
    from components.example_gen.data_source import SYNTHETIC_FLOWERS, describe_source
    from components.photos.corrections import match_classes, read_corrections
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
    if photos:
        corrections = match_classes(corrections, description.class_names)
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
        raise UsageError(
            f"backbone {name} cannot be fine-tuned: it has no trainable variables; remove --fine-tune, or choose "
            "another --backbone"
        )
    return BackboneConfig(name=name, image_size=info.image_size, digest=info.digest)
