"""The pipeline's configuration: frozen dataclasses that `create_pipeline` reads and runners build.

Values only: nothing here imports TensorFlow or TFX, so commands that merely print help stay quick.
"""

import dataclasses
from pathlib import Path

from components.common.errors import UserError
from components.modeling.hyperparameters import FineTuning, Hyperparameters

RESOLVER_BASELINE = "resolver"
NO_BASELINE = "none"


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which photos, and how they are split.

    Attributes:
        class_names: The classes in label order.
        fingerprint: What identifies the content (a version, or a digest of the photos), part of the cache key.
        dataset: TFDS dataset name or `synthetic_flowers`; empty with `photos`.
        photos: Folder or archive of class-named folders; empty for a dataset.
        data_dir: Where TFDS prepares and finds datasets; empty is TFDS's default.
        split_fractions: Shares of train, validation and test; they add up to 1.
        split_method: `count` (exact shares) or `hash` (a photo's split depends on its own key alone).
        num_photos: How many photos `synthetic_flowers` draws; 0 is its default.
        seed: Seeds `synthetic_flowers`.
    """

    class_names: tuple[str, ...]
    fingerprint: str
    dataset: str = ""
    photos: str = ""
    data_dir: str = ""
    split_fractions: tuple[float, float, float] = (0.5, 0.25, 0.25)
    split_method: str = "count"
    num_photos: int = 0
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class BackboneConfig:
    """Which TF Hub feature vector.

    Attributes:
        name: Registry name, Hub URL or SavedModel folder, as given by the user.
        image_size: Height and width in pixels that it reads.
        digest: Content digest of its SavedModel; empty when it is not known before the run.
        batch_size: Photos per forward pass during feature extraction.
    """

    name: str
    image_size: tuple[int, int]
    digest: str = ""
    batch_size: int = 32


@dataclasses.dataclass(frozen=True)
class ImageValidationConfig:
    """What ImageValidator lets pass; see `components.image_validator.component`, which checks the values.

    Attributes:
        max_quarantine_share: Share of unusable photos above which a run stops, in [0, 1].
        cross_split_duplicates: `drop_from_evaluation`, `move_to_train` or `keep`: the same picture in several splits.
        near_duplicate_distance: Bits of a 64-bit perceptual hash in which two copies of a picture may differ, at most
            10; 0 compares bytes, a negative number does not look for duplicates.
    """

    max_quarantine_share: float = 0.05
    cross_split_duplicates: str = "drop_from_evaluation"
    near_duplicate_distance: int = 4


@dataclasses.dataclass(frozen=True)
class BlessingConfig:
    """What the test split has to show before a model is pushed.

    Attributes:
        min_accuracy: Lower bound of test accuracy, in [0, 1].
        max_accuracy_drop: How far test accuracy may fall below the latest blessed model's, in [0, 1].
    """

    min_accuracy: float = 0.7
    max_accuracy_drop: float = 0.02

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise UserError(f"{name} is {value}; it must be between 0 and 1")


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """One pipeline, whole.

    Attributes:
        name: Names the pipeline in ML Metadata; models are compared with earlier ones of the same name.
        output: Folder or remote root that everything is written under.
        data: Which photos.
        backbone: Which feature extractor.
        hyperparameters: The head and its training.
        tuning_trials: How many sets of hyperparameters to try before the training; 0 takes them as they are.
        fine_tuning: How to train the backbone after the head; None leaves it frozen.
        blessing: Thresholds of the blessing.
        export_tflite: Whether a blessed model is converted to TensorFlow Lite as well.
        beam_args: Beam pipeline options, passed to every Beam component.
        enable_cache: Whether TFX may answer a component from an earlier identical execution.
        image_validation: Which photos are left out, and when there are too many of them.
        baseline: What the change threshold compares with: `resolver` (the latest blessed model in ML Metadata),
            `none`, or the folder of a Model artifact.
        work_root: Local folder for what only a running step needs; empty keeps it in `output`.
        metadata: Where ML Metadata is (see `pipeline.history.connection`); empty is a SQLite file in `output`.
    """

    name: str
    output: str
    data: DataConfig
    backbone: BackboneConfig
    hyperparameters: Hyperparameters = dataclasses.field(default_factory=Hyperparameters)
    tuning_trials: int = 0
    fine_tuning: FineTuning | None = None
    blessing: BlessingConfig = dataclasses.field(default_factory=BlessingConfig)
    export_tflite: bool = False
    beam_args: tuple[str, ...] = ()
    enable_cache: bool = True
    image_validation: ImageValidationConfig = dataclasses.field(default_factory=ImageValidationConfig)
    baseline: str = RESOLVER_BASELINE
    work_root: str = ""
    metadata: str = ""

    @property
    def pipeline_root(self) -> str:
        """Where artifacts are written."""
        return f"{self.output}/pipelines/{self.name}"

    @property
    def serving_model_dir(self) -> str:
        """Where blessed models are pushed, one folder per version, as TF Serving reads them."""
        return f"{self.output}/serving_model/{self.name}"

    @property
    def training_work_root(self) -> str:
        """Where interrupted training is kept until it is resumed."""
        return f"{self.work_root or self.output}/training/{self.name}"

    @property
    def metadata_uri(self) -> str:
        """Where a local run's ML Metadata is; holds no password."""
        return self.metadata or f"sqlite:{Path(self.output) / 'metadata.sqlite'}"
