"""Named sets of defaults, and the way from a user's choices to a `PipelineConfig`."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from components.common.errors import UserError
from components.modeling.hyperparameters import REFERENCE, STRONG
from pipeline.config import BackboneConfig, DataConfig, DataOptions, PipelineConfig, RunOptions


@dataclasses.dataclass(frozen=True)
class Preset:
    """Defaults that belong together.

    Attributes:
        summary: What it is, for `--help`.
        options: Values by the names of options, with underscores.
    """

    summary: str
    options: Mapping[str, Any]


PRESETS: Final = {
    "quickstart": Preset(
        "1,600 drawn flowers and an embedded backbone; needs no download",
        {"dataset": "synthetic_flowers", "backbone": "efficientnet_lite0", "min_accuracy": 0.75, "recipe": STRONG},
    ),
    "tf_flowers": Preset(
        "the reference recipe: 3,670 photos, Inception V3 from TF Hub",
        {"dataset": "tf_flowers", "backbone": "inception_v3", "min_accuracy": 0.8, "recipe": REFERENCE},
    ),
}


def build_config(options: RunOptions, backbone: BackboneConfig | None = None) -> PipelineConfig:
    """Looks at the data and the backbone.

    Args:
        options: The user's choices.
        backbone: What is known of the backbone; None loads it and looks.

    Returns:
        The configuration of a run.

    Raises:
        UserError: The data or the backbone cannot be found or used, or the runner lacks something.
    """
    # These two may download or import TensorFlow; the values that need neither are checked first.
    options.beam.to_args()
    data, name = _data_config(options)
    return PipelineConfig(**{**vars(options), "name": name, "data": data, "backbone": backbone or _look_at(options)})


def _data_config(options: RunOptions) -> tuple[DataConfig, str]:
    from components.example_gen.data_source import SYNTHETIC_FLOWERS, DataSource, describe_source
    from components.photos.corrections import read_corrections
    from components.storage.remote_files import is_remote

    given: DataOptions = options.data
    # Absolute, because the path is recorded in ML Metadata and read by workers.
    is_local = given.photos and not is_remote(given.photos)
    photos = str(Path(given.photos).expanduser().absolute()) if is_local else given.photos
    dataset = "" if photos else given.dataset
    # Hosted datasets stay where TFDS keeps them for all projects; what is made here stays under the output.
    own = photos or dataset == SYNTHETIC_FLOWERS
    data_dir = given.data_dir or (f"{options.output}/datasets" if own else "")
    num_photos, seed = (given.num_photos, given.seed) if dataset == SYNTHETIC_FLOWERS else (0, 0)
    source = DataSource(
        dataset, photos, data_dir, num_photos, seed, given.split_method, group_by=given.group_by, convert=given.convert
    )
    corrections = read_corrections(given.relabel, given.exclude)
    description = describe_source(source)
    data = DataConfig(
        **dataclasses.asdict(source),
        relabel=given.relabel,
        exclude=given.exclude,
        corrections=json.dumps(corrections) if corrections else "",
        class_names=description.class_names,
        fingerprint=description.fingerprint,
    )
    return data, _pipeline_name(description.name, description.class_names, bool(photos))


def _pipeline_name(dataset: str, class_names: tuple[str, ...], own_photos: bool) -> str:
    """Models are compared with earlier ones of the same pipeline, so other classes make another pipeline."""
    slug = re.sub(r"[^A-Za-z0-9]+", "_", dataset).strip("_") or "photos"
    if not own_photos:
        return slug
    return f"{slug}-{hashlib.sha256(json.dumps(class_names).encode()).hexdigest()[:6]}"


def _look_at(options: RunOptions) -> BackboneConfig:
    from components.modeling.backbones.loading import prepare_backbone

    name = options.backbone.name
    if Path(name).expanduser().is_dir():
        name = str(Path(name).expanduser().absolute())
    _, info = prepare_backbone(name, options.backbone.image_size)
    if options.fine_tuning and not info.trainable:
        raise UserError(
            f"backbone {name} cannot be fine-tuned: it has no trainable variables; leave out --fine-tune, or choose "
            "another --backbone"
        )
    if options.fine_tuning and options.fine_tuning.image_size:
        from components.trainer.crop_size import check_crop_size

        check_crop_size(options.fine_tuning.image_size, info.image_size, info.any_size)
    return BackboneConfig(
        name=name, image_size=info.image_size, digest=info.digest, precision=options.backbone.precision
    )
