"""The pipeline's configuration. Command-line options and Kubeflow's run-time parameters are derived from its fields.

Nothing here imports TensorFlow or TFX, so that `--help` stays fast.
"""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Final

from components.common.errors import UserError, refuse_credentials
from components.common.settings import check_settings, on_unless, setting
from components.contracts.evaluation import ACCURACY
from components.contracts.output_folder import METADATA_FILE, PIPELINES_FOLDER, SERVING_MODEL_FOLDER, TRAINING_FOLDER
from components.evaluator.thresholds import OWN_METRICS, Threshold
from components.example_gen.options import DataSource
from components.modeling.backbones.registry import BACKBONES
from components.modeling.hyperparameters import STRONG, FineTuning, Hyperparameters, parse_size
from pipeline.beam_runners.beam_args import DIRECT, RUNNERS, beam_args

RESOLVER_BASELINE: Final = "resolver"
PUSHED_BASELINE: Final = "pushed"
NO_BASELINE: Final = "none"
BEAM_PREFIX: Final = "beam_"


def _parse_memory(text: str) -> int:
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    found = re.fullmatch(rf"(\d+(?:\.\d+)?) ?({'|'.join(units)})", text.upper())
    if not found:
        raise ValueError(f"{text!r} is not a size such as 1GB, 1.5GB or 500MB")
    return round(float(found[1]) * units[found[2]])


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions(DataSource):
    """The photo source, as the user names it, and what is done to its photos."""

    max_quarantine_share: float = setting(
        0.05, "Stop the run if a larger share of the photos is unusable.", minimum=0, maximum=1
    )
    relabel: str = setting(
        "", "A reviewed .csv of `labels --to`: its photos get the label in column suggested_label.", metavar="FILE"
    )
    exclude: str = setting("", "A reviewed .csv of `labels --to`: its photos are not used.", metavar="FILE")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(DataOptions):
    """The resolved photo source."""

    class_names: tuple[str, ...]  # in label order
    fingerprint: str  # identifies the content (a version, or a digest of the photos); part of the cache key
    # Whether each run computes the fingerprint itself; `fingerprint` is then the expected one, or empty for any photos.
    fingerprint_per_run: bool = False
    corrections: str = ""  # contents of `relabel` and `exclude`, as JSON; empty without either


@dataclasses.dataclass(frozen=True)
class BackboneOptions:
    """The feature vector, as the user names it."""

    name: str = setting(
        "",
        f"Feature extractor: {', '.join(BACKBONES)}, a Kaggle handle, a URL, or a SavedModel folder.",
        flag="--backbone",
        metavar="NAME|HANDLE|URL|DIR",
        default_text="the preset's",
    )
    image_size: tuple[int, int] | None = setting(
        None,
        "Input size, for a backbone that supports several; embedded ones: 128 to 384 pixels per side.",
        metavar="HxW",
        parse=parse_size,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        refuse_credentials("--backbone", self.name)


@dataclasses.dataclass(frozen=True)
class BackboneConfig(BackboneOptions):
    """The resolved TF Hub feature vector."""

    name: str = dataclasses.field()  # registry name, Hub URL or SavedModel folder
    image_size: tuple[int, int] = dataclasses.field()  # height and width of its input in pixels
    digest: str = ""  # of the SavedModel's content; empty if unknown before the run
    batch_size: int = 32  # photos per forward pass during feature extraction


@dataclasses.dataclass(frozen=True)
class BlessingConfig:
    """Thresholds on the test split; a model that misses one is not pushed."""

    min_accuracy: float = setting(
        0.7, "Test accuracy required for a blessing.", minimum=0, maximum=1, default_text="the preset's", per_run=True
    )
    max_accuracy_drop: float = setting(
        0.02, "Largest drop of test accuracy below the latest blessed model.", minimum=0, maximum=1, per_run=True
    )
    bless: tuple[str, ...] = setting(
        (),
        "Additional threshold, repeatable: METRIC>=X or METRIC<=X; METRIC[CLASS] or METRIC[*] per class; baseline-X or "
        "baseline+X relative to the latest blessed model. Examples: 'loss<=0.5', 'recall[*]>=baseline-0.05'. Metrics: "
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
    """The Beam runner and its options."""

    runner: str = setting(
        DIRECT, f"Beam runner: {', '.join(RUNNERS)}, or a class of Beam, such as SparkRunner.", metavar="NAME"
    )
    workers: int = setting(0, "Number of Beam workers.", minimum=0, metavar="N", default_text="one per CPU")
    args: tuple[str, ...] = setting(
        (), "Beam pipeline option, repeatable: --beam-arg=--x=y.", flag="--beam-arg", metavar="--X=Y"
    )

    def __post_init__(self) -> None:
        check_settings(self, BEAM_PREFIX)

    def to_args(self) -> tuple[str, ...]:
        """Returns Beam's pipeline options; raises UserError for an unknown runner or one that is not set up."""
        return beam_args(self.runner, self.workers, self.args)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The user's choices, before the photo source and the backbone are resolved."""

    data: DataOptions = setting(factory=DataOptions, section="Photos")
    backbone: BackboneOptions = setting(factory=BackboneOptions, section="Backbone")
    hyperparameters: Hyperparameters = setting(factory=Hyperparameters, section="Head and training")
    tuning_trials: int = setting(
        0,
        "Search N settings of hidden units, learning rate and batch size, and train with the best; 0 disables it.",
        minimum=0,
        flag="--tune",
        section="Head and training",
        metavar="N",
    )
    feature_memory: int = setting(
        10**9,
        "Memory for features during training; features beyond it are read from disk in every epoch.",
        minimum=0,
        section="Head and training",
        metavar="SIZE",
        default_text="1GB",
        parse=_parse_memory,
    )
    fine_tuning: FineTuning | None = setting(
        None,
        "After the head, train the backbone as well.",
        section="Fine-tuning",
        flag="--fine-tune",
        prefix="fine_tune_",
    )
    blessing: BlessingConfig = setting(factory=BlessingConfig, section="Blessing")
    beam: BeamOptions = setting(factory=BeamOptions, section="Beam", prefix=BEAM_PREFIX)
    export_tflite: bool = setting(False, "Convert a blessed model to TFLite (float16 and int8) and evaluate both.")
    review_labels: bool = on_unless("--no-label-review", "Skip the search for doubtful labels.")
    output: str = setting("output", "Folder, or s3://BUCKET/PREFIX, for everything a run writes.", metavar="DIR")
    metadata: str = setting(
        "",
        "Database of ML Metadata: sqlite:PATH, mysql://USER@HOST/DATABASE or grpc://HOST:PORT; the password is read "
        "from FLOWERS_METADATA_PASSWORD.",
        metavar="URI",
        default_text="SQLite in --output",
    )
    enable_cache: bool = on_unless("--no-cache", "Recompute every component.")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.fine_tuning and self.hyperparameters.recipe == STRONG:
            raise UserError(
                "--fine-tune and --recipe strong exclude each other: the kernel machine stores features, which "
                "fine-tuning changes; remove one of them"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineConfig(RunOptions):
    """The complete configuration of one pipeline."""

    name: str  # in ML Metadata; models are compared with earlier ones of the same name
    data: DataConfig
    backbone: BackboneConfig
    # The model that change thresholds compare with: `resolver` (the latest blessed one in ML Metadata), `pushed` (the
    # latest one in the serving folder), `none`, or the folder of a Model artifact.
    baseline: str = RESOLVER_BASELINE
    work_root: str = ""  # local folder for intermediate files; empty is `output`
    bucket: str = ""  # URI for a local run's artifacts and pushed models; empty is `output`

    @functools.cached_property
    def beam_args(self) -> tuple[str, ...]:
        """Pipeline options of every Beam component."""
        return self.beam.to_args()

    @property
    def pipeline_root(self) -> str:
        """Folder of the artifacts."""
        return f"{self.bucket or self.output}/{PIPELINES_FOLDER}/{self.name}"

    @property
    def serving_model_dir(self) -> str:
        """Folder of pushed models: one numbered folder per version, as TF Serving reads them."""
        return f"{self.bucket or self.output}/{SERVING_MODEL_FOLDER}/{self.name}"

    @property
    def training_work_root(self) -> str:
        """Folder of the checkpoints of interrupted training."""
        return f"{self.work_root or self.output}/{TRAINING_FOLDER}/{self.name}"

    @property
    def metadata_uri(self) -> str:
        """Database of a local run's ML Metadata, without a password."""
        return self.metadata or f"sqlite:{Path(self.output) / METADATA_FILE}"
