"""The pipeline's configuration: frozen dataclasses, the one place where an option is declared.

The options of the command lines, `RunOptions` and Kubeflow's run-time parameters follow from the fields' declarations;
`PipelineConfig` is `RunOptions` with what a look at data and backbone adds. Values only: nothing here imports
TensorFlow or TFX, so commands that merely print help stay quick.
"""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Final

from components.common.errors import UserError, refuse_credentials
from components.common.settings import check_settings, setting
from components.contracts import FLOAT32, PRECISIONS
from components.contracts.evaluation import ACCURACY
from components.contracts.output_folder import (
    METADATA_FILE,
    PIPELINES_FOLDER,
    SERVING_MODEL_FOLDER,
    TRAINING_FOLDER,
)
from components.evaluator.thresholds import OWN_METRICS, Threshold
from components.modeling.backbones.registry import BACKBONES
from components.modeling.hyperparameters import STRONG, FineTuning, Hyperparameters, parse_size
from pipeline.beam_runners.beam_args import DIRECT, RUNNERS, beam_args

RESOLVER_BASELINE: Final = "resolver"
PUSHED_BASELINE: Final = "pushed"
NO_BASELINE: Final = "none"


def _parse_memory(text: str) -> int:
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    found = re.fullmatch(rf"(\d+(?:\.\d+)?) ?({'|'.join(units)})", text.upper())
    if not found:
        raise ValueError(f"{text!r} is not a size such as 1GB, 1.5GB or 500MB")
    return round(float(found[1]) * units[found[2]])


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which photos, and how they are split."""

    photos: str = setting(
        "",
        "Your own photos: a folder or .tgz of class-named folders, or a .csv or .jsonl that names them.",
        metavar="PATH",
    )
    dataset: str = setting("", "Any TFDS image-classification dataset, instead of the preset's.", metavar="NAME")
    data_dir: str = setting("", "Where TFDS datasets are prepared.", metavar="DIR", default_text="TFDS's own")
    num_photos: int = setting(1600, "Photos to draw.", minimum=1)
    seed: int = setting(0, "Which series of photos to draw.", minimum=0, flag="--data-seed")
    split_method: str = setting(
        "count",
        "count: exactly 50/25/25; hash: added photos move none of the others between splits.",
        choices=("count", "hash"),
    )
    group_by: str = setting(
        "",
        "Photos of one group never cross splits: a manifest's column, or a regular expression over paths whose "
        "brackets name the group, such as '(plant\\d+)_'.",
        metavar="COLUMN|REGEX",
    )
    convert: bool = setting(
        True, "Quarantine WebP, TIFF, HEIC, AVIF and JPEG XL instead of converting them to JPEG.", flag="--no-convert"
    )

    relabel: str = setting(
        "",
        "A reviewed .csv of `labels --to`: every photo in it gets the label in its column suggested_label.",
        metavar="FILE",
    )
    exclude: str = setting("", "A reviewed .csv of `labels --to`: no photo in it is used.", metavar="FILE")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.group_by and not self.photos:
            raise UserError("--group-by groups your own photos: give --photos, or leave it out")
        if self.group_by and self.split_method != "count":
            raise UserError("--group-by needs --split-method count: a photo's own name cannot decide for its group")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(DataOptions):
    """Which photos, looked at.

    Attributes:
        class_names: The classes in label order.
        fingerprint: What identifies the content (a version, or a digest of the photos), part of the cache key.
        fingerprint_per_run: Whether each run looks at the photos itself; `fingerprint` is then what it must find, or
            empty for any photos.
        split_fractions: Shares of train, validation and test; they add up to 1.
        num_photos: How many photos `synthetic_flowers` draws; 0 is its default.
        corrections: What `relabel` and `exclude` hold, as JSON; empty without either.
    """

    class_names: tuple[str, ...]
    fingerprint: str
    fingerprint_per_run: bool = False
    split_fractions: tuple[float, float, float] = (0.5, 0.25, 0.25)
    num_photos: int = 0
    seed: int = 0
    corrections: str = ""


@dataclasses.dataclass(frozen=True)
class BackboneOptions:
    """Which TF Hub feature vector."""

    name: str = setting(
        "",
        f"Feature extractor: {', '.join(BACKBONES)}, a TF Hub URL, or a SavedModel folder.",
        flag="--backbone",
        metavar="NAME|URL|DIR",
        default_text="the preset's",
    )
    image_size: tuple[int, int] | None = setting(
        None,
        "For a backbone that takes several sizes; embedded ones: 128 to 384 pixels a side.",
        metavar="HxW",
        parse=parse_size,
    )
    precision: str = setting(
        FLOAT32,
        "What it computes the training photos' features in; auto: bfloat16 where that is faster by a fifth and changes "
        "next to no answer. Other photos, and served ones, pass in float32.",
        choices=PRECISIONS,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        refuse_credentials("--backbone", self.name)


@dataclasses.dataclass(frozen=True)
class BackboneConfig(BackboneOptions):
    """Which TF Hub feature vector, looked at.

    Attributes:
        name: Registry name, Hub URL or SavedModel folder, as given by the user.
        image_size: Height and width in pixels that it reads.
        digest: Content digest of its SavedModel; empty when it is not known before the run.
        batch_size: Photos per forward pass during feature extraction.
    """

    name: str = dataclasses.field()
    image_size: tuple[int, int] = dataclasses.field()
    digest: str = ""
    batch_size: int = 32


@dataclasses.dataclass(frozen=True)
class ImageValidationConfig:
    """What ImageValidator lets pass; see `components.image_validator.component`."""

    max_quarantine_share: float = setting(
        0.05, "Share of unusable photos above which the run stops.", minimum=0, maximum=1
    )
    cross_split_duplicates: str = setting(
        "drop_from_evaluation",
        "The same picture in several splits.",
        choices=("drop_from_evaluation", "move_to_train", "keep"),
    )
    near_duplicate_distance: int = setting(
        4,
        "Bits in which perceptual hashes of one picture may differ; 0: equal bytes only; -1: do not look.",
        maximum=10,
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclasses.dataclass(frozen=True)
class BlessingConfig:
    """What the test split has to show before a model is pushed."""

    min_accuracy: float = setting(
        0.7, "Test accuracy needed for a blessing.", minimum=0, maximum=1, default_text="the preset's", per_run=True
    )
    max_accuracy_drop: float = setting(
        0.02, "Allowed drop below the latest blessed model.", minimum=0, maximum=1, per_run=True
    )
    bless: tuple[str, ...] = setting(
        (),
        "One more threshold: METRIC>=X or METRIC<=X; METRIC[CLASS] or METRIC[*] per class; baseline-X or baseline+X to "
        "compare with the latest blessed model: 'loss<=0.5', 'recall[*]>=baseline-0.05'. Metrics: "
        f"{', '.join(OWN_METRICS)}, or a class of TFMA or Keras.",
        metavar="THRESHOLD",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        self.thresholds()

    def thresholds(self) -> list[Threshold]:
        """Returns every threshold."""
        return [
            Threshold(ACCURACY, None, is_lower=True, bound=self.min_accuracy),
            Threshold(ACCURACY, None, is_lower=True, bound=-self.max_accuracy_drop, is_change=True),
            *map(Threshold.parse, self.bless),
        ]


@dataclasses.dataclass(frozen=True)
class BeamOptions:
    """What runs the Beam components."""

    runner: str = setting(
        DIRECT,
        f"What runs the Beam components: {', '.join(RUNNERS)}, or a Beam runner's own name, such as SparkRunner.",
        metavar="NAME",
    )
    workers: int = setting(0, "Workers.", minimum=0, metavar="N", default_text="one per CPU")
    args: tuple[str, ...] = setting(
        (), "One more Beam option, as --beam-arg=--x=y.", flag="--beam-arg", metavar="--X=Y"
    )

    def __post_init__(self) -> None:
        check_settings(self, "beam_")

    def to_args(self) -> tuple[str, ...]:
        """Returns Beam's pipeline options; raises UserError for a runner that is not known or lacks something."""
        return beam_args(self.runner, self.workers, self.args)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """A user's choices."""

    data: DataOptions = setting(factory=DataOptions, section="Photos")
    image_validation: ImageValidationConfig = setting(factory=ImageValidationConfig, section="Validation of photos")
    backbone: BackboneOptions = setting(factory=BackboneOptions, section="Backbone")
    hyperparameters: Hyperparameters = setting(factory=Hyperparameters, section="Head and training")
    tuning_trials: int = setting(
        0,
        "Try N settings of the head (hidden units, learning rate, batch size) and train with the best.",
        minimum=0,
        flag="--tune",
        section="Head and training",
        metavar="N",
    )
    feature_memory: int = setting(
        10**9,
        "Memory for features while the head is trained; those that do not fit are read in every epoch.",
        minimum=0,
        section="Head and training",
        metavar="SIZE",
        default_text="1GB",
        parse=_parse_memory,
    )
    fine_tuning: FineTuning | None = setting(
        None,
        "Train the backbone, too, once the head is trained.",
        section="Fine-tuning",
        flag="--fine-tune",
        prefix="fine_tune_",
    )
    blessing: BlessingConfig = setting(factory=BlessingConfig, section="Blessing")
    beam: BeamOptions = setting(factory=BeamOptions, section="Beam", prefix="beam_")
    export_tflite: bool = setting(False, "Convert a blessed model to TFLite (float16 and int8), and measure both.")
    review_labels: bool = setting(True, "Do not look for photos whose label is doubtful.", flag="--no-label-review")
    output: str = setting("output", "Everything is written below it: a folder, or s3://BUCKET/PREFIX.", metavar="DIR")
    metadata: str = setting(
        "",
        "ML Metadata elsewhere than in --output: sqlite:PATH, mysql://USER@HOST/DATABASE or grpc://HOST:PORT; the "
        "password is read from FLOWERS_METADATA_PASSWORD.",
        metavar="URI",
    )
    enable_cache: bool = setting(True, "Compute everything again.", flag="--no-cache")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.fine_tuning and self.hyperparameters.recipe == STRONG:
            raise UserError(
                "--fine-tune and --recipe strong exclude each other: the kernel machine knows the training photos by "
                "their features, which fine-tuning changes; leave one of them out"
            )
        if self.data.group_by and self.image_validation.cross_split_duplicates == "move_to_train":
            raise UserError(
                "--group-by and --cross-split-duplicates move_to_train exclude each other: a photo that moves leaves "
                "its group"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineConfig(RunOptions):
    """One pipeline, whole.

    Attributes:
        name: Names the pipeline in ML Metadata; models are compared with earlier ones of the same name.
        data: Which photos.
        backbone: Which feature extractor.
        baseline: What the change threshold compares with: `resolver` (the latest blessed model in ML Metadata),
            `pushed` (the model that was pushed last, as the serving folder tells), `none`, or the folder of a Model
            artifact.
        work_root: Local folder for what only a running step needs; empty keeps it in `output`.
        bucket: URI below which a local run keeps artifacts and pushed models; empty keeps them in `output`.
    """

    name: str
    data: DataConfig
    backbone: BackboneConfig
    baseline: str = RESOLVER_BASELINE
    work_root: str = ""
    bucket: str = ""

    @functools.cached_property
    def beam_args(self) -> tuple[str, ...]:
        """Beam pipeline options, passed to every Beam component."""
        return self.beam.to_args()

    @property
    def pipeline_root(self) -> str:
        """Where artifacts are written."""
        return f"{self.bucket or self.output}/{PIPELINES_FOLDER}/{self.name}"

    @property
    def serving_model_dir(self) -> str:
        """Where blessed models are pushed, one folder per version, as TF Serving reads them."""
        return f"{self.bucket or self.output}/{SERVING_MODEL_FOLDER}/{self.name}"

    @property
    def training_work_root(self) -> str:
        """Where interrupted training is kept until it is resumed."""
        return f"{self.work_root or self.output}/{TRAINING_FOLDER}/{self.name}"

    @property
    def metadata_uri(self) -> str:
        """Where a local run's ML Metadata is; holds no password."""
        return self.metadata or f"sqlite:{Path(self.output) / METADATA_FILE}"
