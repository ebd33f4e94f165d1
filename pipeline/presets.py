"""Named sets of defaults, and the way from a user's choices to a `PipelineConfig`."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from components.common.errors import UserError
from components.modeling.hyperparameters import FineTuning, Hyperparameters
from pipeline.beam_runners.beam_args import DIRECT, beam_args
from pipeline.config import BackboneConfig, BlessingConfig, DataConfig, ImageValidationConfig, PipelineConfig


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
    image_validation: ImageValidationConfig = dataclasses.field(default_factory=ImageValidationConfig)
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    tuning_trials: int = 0
    fine_tuning: FineTuning | None = None
    min_accuracy: float | None = None
    max_accuracy_drop: float | None = None
    export_tflite: bool = False
    enable_cache: bool = True
    metadata: str = ""
    beam_runner: str = DIRECT
    beam_workers: int = 0
    beam_args: tuple[str, ...] = ()


def build_config(options: RunOptions, backbone: BackboneConfig | None = None) -> PipelineConfig:
    """Looks at the data and the backbone, and fills in everything else.

    Args:
        options: The user's choices.
        backbone: What is known of the backbone; None loads it and looks.

    Returns:
        The configuration of a run.

    Raises:
        UserError: The data or the backbone cannot be found or used, or a value is out of range.
    """
    preset = PRESETS[options.preset]
    hyperparameters = Hyperparameters(**options.hyperparameters)
    thresholds = {"min_accuracy": options.min_accuracy, "max_accuracy_drop": options.max_accuracy_drop}
    given = {name: value for name, value in thresholds.items() if value is not None}
    blessing = BlessingConfig(**{"min_accuracy": preset.min_accuracy, **given})
    runner_args = beam_args(options.beam_runner, options.beam_workers, options.beam_args)
    # These two may download or import TensorFlow; the values that need neither are checked first.
    data, name = _data_config(options, preset, hyperparameters.seed)
    return PipelineConfig(
        name=name,
        output=options.output,
        data=data,
        backbone=backbone or _backbone_config(options, preset),
        image_validation=options.image_validation,
        hyperparameters=hyperparameters,
        tuning_trials=options.tuning_trials,
        fine_tuning=options.fine_tuning,
        blessing=blessing,
        export_tflite=options.export_tflite,
        beam_args=runner_args,
        enable_cache=options.enable_cache,
        metadata=options.metadata,
    )


def _data_config(options: RunOptions, preset: Preset, seed: int) -> tuple[DataConfig, str]:
    from components.example_gen.builders import SYNTHETIC_FLOWERS, DataSource, describe_source

    # Absolute, because the path is recorded in ML Metadata and read by workers.
    photos = str(Path(options.photos).expanduser().absolute()) if options.photos else ""
    dataset = "" if photos else options.dataset or preset.dataset
    # Hosted datasets stay where TFDS keeps them for all projects; what is made here stays under the output.
    own = photos or dataset == SYNTHETIC_FLOWERS
    data_dir = options.data_dir or (f"{options.output}/datasets" if own else "")
    num_photos = options.num_photos if dataset == SYNTHETIC_FLOWERS else 0
    source = DataSource(dataset, photos, data_dir, num_photos, seed)
    description = describe_source(source)
    data = DataConfig(
        **dataclasses.asdict(source),
        class_names=description.class_names,
        fingerprint=description.fingerprint,
        split_method=options.split_method,
    )
    return data, _pipeline_name(description.name, description.class_names, bool(photos))


def _pipeline_name(dataset: str, class_names: tuple[str, ...], own_photos: bool) -> str:
    """Models are compared with earlier ones of the same pipeline, so other classes make another pipeline."""
    slug = re.sub(r"[^A-Za-z0-9]+", "_", dataset).strip("_") or "photos"
    if not own_photos:
        return slug
    return f"{slug}-{hashlib.sha256(json.dumps(class_names).encode()).hexdigest()[:6]}"


def _backbone_config(options: RunOptions, preset: Preset) -> BackboneConfig:
    from components.modeling.backbones.loading import prepare_backbone

    name = options.backbone or preset.backbone
    if Path(name).expanduser().is_dir():
        name = str(Path(name).expanduser().absolute())
    _, info = prepare_backbone(name, options.image_size)
    if options.fine_tuning and not info.trainable:
        raise UserError(
            f"backbone {name} cannot be fine-tuned: it has no trainable variables; leave out --fine-tune, or choose "
            "another --backbone"
        )
    return BackboneConfig(name=name, image_size=info.image_size, digest=info.digest)
