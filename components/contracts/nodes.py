"""Ids of the nodes, and the outputs that are read outside of the graph."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from components.contracts import TEST_SPLIT, VALIDATION_SPLIT


class Output(NamedTuple):
    """The origin of an artifact: the node's id and its output key."""

    node_id: str
    key: str


PHOTOS_FINGERPRINT: Final = "PhotosFingerprint"
EXAMPLE_GEN: Final = "TfdsExampleGen"
IMAGE_VALIDATOR: Final = "ImageValidator"
STATISTICS_GEN: Final = "StatisticsGen"
EXAMPLE_VALIDATOR: Final = "ExampleValidator"
BACKBONE_IMPORTER: Final = "BackboneImporter"
TRANSFORM: Final = "Transform"
FEATURE_EXTRACTOR: Final = "FeatureExtractor"
TUNER: Final = "Tuner"
TRAINER: Final = "Trainer"
FINE_TUNING: Final = "Trainer.fine_tuning"
BASELINE_IMPORTER: Final = "baseline_model"
BASELINE_RESOLVER: Final = "latest_blessed_model_resolver"
BASELINE_READER: Final = "BaselineReader"
EVALUATOR_VALIDATION: Final = "Evaluator.validation"
EVALUATOR_TEST: Final = "Evaluator.test"
PUSHER: Final = "Pusher"
TFLITE_EXPORTER: Final = "TFLiteExporter"
LABEL_REVIEWER: Final = "LabelReviewer"
DRIFT_DETECTOR: Final = "DriftDetector"

EXAMPLES: Final = Output(EXAMPLE_GEN, "examples")
VALID_EXAMPLES: Final = Output(IMAGE_VALIDATOR, "valid_examples")
QUARANTINE: Final = Output(IMAGE_VALIDATOR, "quarantine")
STATISTICS: Final = Output(STATISTICS_GEN, "statistics")
ANOMALIES: Final = Output(EXAMPLE_VALIDATOR, "anomalies")
BACKBONE: Final = Output(BACKBONE_IMPORTER, "model")
FEATURES: Final = Output(FEATURE_EXTRACTOR, "features")
BEST_HYPERPARAMETERS: Final = Output(TUNER, "best_hyperparameters")
MODEL_RUN_KEY: Final = "model_run"  # of every Trainer
FINE_TUNING_RUN: Final = Output(FINE_TUNING, MODEL_RUN_KEY)
EVALUATIONS: Final[Mapping[str, Output]] = {  # by split
    VALIDATION_SPLIT: Output(EVALUATOR_VALIDATION, "evaluation"),
    TEST_SPLIT: Output(EVALUATOR_TEST, "evaluation"),
}
BLESSING: Final = Output(EVALUATOR_TEST, "blessing")
PUSHED_MODEL: Final = Output(PUSHER, "pushed_model")
TFLITE_MODEL: Final = Output(TFLITE_EXPORTER, "tflite_model")
LABEL_REVIEW: Final = Output(LABEL_REVIEWER, "label_review")
DRIFT: Final = Output(DRIFT_DETECTOR, "drift")

# Custom properties that TFX's Evaluator and Pusher set on their artifacts.
BLESSED_PROPERTY: Final = "blessed"  # 1 or 0
PUSHED_PROPERTY: Final = "pushed"  # 1 or 0
PUSHED_DESTINATION_PROPERTY: Final = "pushed_destination"  # the pushed version's folder

# Input keys of an Evaluator.
MODEL_INPUT: Final = "model"
BASELINE_INPUT: Final = "baseline_model"
