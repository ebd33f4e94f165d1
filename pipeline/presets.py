"""Named sets of defaults, and the way from a user's choices to a `PipelineConfig`.

Called by `pipeline.cli`.
"""

import dataclasses
import hashlib
import json
import re
from typing import Any

from components.model.hyperparameters import Hyperparameters
from pipeline.config import BackboneConfig, BlessingConfig, DataConfig, PipelineConfig


@dataclasses.dataclass(frozen=True)
class Preset:
    """Defaults that belong together.

    Attributes:
        dataset: TFDS dataset name.
        backbone: Registry name of the feature extractor.
        min_accuracy: Lower bound of test accuracy for a blessing.
        summary: What it is, for `--help`.
    """

    dataset: str
    backbone: str
    min_accuracy: float
    summary: str


PRESETS = {
    "quickstart": Preset(
        dataset="synthetic_flowers",
        backbone="efficientnet_lite0",
        min_accuracy=0.75,
        summary="1,600 drawn flowers and an embedded backbone; needs no download",
    ),
    "tf_flowers": Preset(
        dataset="tf_flowers",
        backbone="inception_v3",
        min_accuracy=0.8,
        summary="the reference recipe: 3,670 photos, Inception V3 from TF Hub",
    ),
}


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """A user's choices; None leaves a value to the preset or to the recipe.

    Attributes mirror the options of `local_runner.py run`.
    """

    preset: str
    output: str
    photos: str | None = None
    dataset: str | None = None
    data_dir: str | None = None
    backbone: str | None = None
    image_size: tuple[int, int] | None = None
    split_method: str = "count"
    num_photos: int = 1600
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    min_accuracy: float | None = None
    max_accuracy_drop: float | None = None
    enable_cache: bool = True
    beam_args: tuple[str, ...] = ()


def build_config(options: RunOptions) -> PipelineConfig:
    """Looks at the data and the backbone, and fills in everything else.

    Args:
        options: The user's choices.

    Returns:
        The configuration of a run.

    Raises:
        UserError: The data or the backbone cannot be found or used, or a value is out of range.
    """
    # Both import TensorFlow; the values that need neither are checked first.
    preset = PRESETS[options.preset]
    hyperparameters = Hyperparameters(**options.hyperparameters)
    thresholds = {"min_accuracy": options.min_accuracy, "max_accuracy_drop": options.max_accuracy_drop}
    given = {name: value for name, value in thresholds.items() if value is not None}
    blessing = BlessingConfig(**{"min_accuracy": preset.min_accuracy, **given})
    data, name = _data_config(options, preset, hyperparameters.seed)
    return PipelineConfig(
        name=name,
        output=options.output,
        data=data,
        backbone=_backbone_config(options, preset),
        hyperparameters=hyperparameters,
        blessing=blessing,
        beam_args=options.beam_args,
        enable_cache=options.enable_cache,
    )


def _data_config(options: RunOptions, preset: Preset, seed: int) -> tuple[DataConfig, str]:
    from components.example_gen.builders import DataSource, describe_source

    dataset = "" if options.photos else options.dataset or preset.dataset
    # Hosted datasets stay where TFDS keeps them for all projects; what is made here stays under the output.
    own = options.photos or dataset == "synthetic_flowers"
    data_dir = options.data_dir or (f"{options.output}/datasets" if own else "")
    num_photos = options.num_photos if dataset == "synthetic_flowers" else 0
    source = DataSource(dataset, options.photos or "", data_dir, num_photos, seed)
    description = describe_source(source)
    data = DataConfig(
        **dataclasses.asdict(source),
        class_names=description.class_names,
        fingerprint=description.fingerprint,
        split_method=options.split_method,
    )
    return data, _pipeline_name(description.name, description.class_names, bool(options.photos))


def _pipeline_name(dataset: str, class_names: tuple[str, ...], own_photos: bool) -> str:
    """Models are compared with earlier ones of the same pipeline, so other classes make another pipeline."""
    slug = re.sub(r"[^A-Za-z0-9]+", "_", dataset).strip("_") or "photos"
    if not own_photos:
        return slug
    return f"{slug}-{hashlib.sha256(json.dumps(class_names).encode()).hexdigest()[:6]}"


def _backbone_config(options: RunOptions, preset: Preset) -> BackboneConfig:
    from components.backbones.inspection import inspect_backbone
    from components.backbones.loading import load_backbone
    from components.backbones.registry import find_backbone

    name = options.backbone or preset.backbone
    known = find_backbone(name)
    image_size = options.image_size or (known.image_size if known else None)
    info = inspect_backbone(load_backbone(name), image_size, known.feature_size if known else None, name)
    return BackboneConfig(name=name, image_size=info.image_size, digest=info.digest)
