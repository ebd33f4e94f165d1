"""Ids of the pipeline's nodes, and those of their outputs that are read outside of the graph."""

from typing import Final, NamedTuple


class Output(NamedTuple):
    """Where an artifact comes from: the node's id and its output key."""

    node_id: str
    key: str


EXAMPLE_GEN: Final = "TfdsExampleGen"
IMAGE_VALIDATOR: Final = "ImageValidator"
STATISTICS_GEN: Final = "StatisticsGen"
EXAMPLE_VALIDATOR: Final = "ExampleValidator"
BACKBONE_IMPORTER: Final = "BackboneImporter"
FEATURE_EXTRACTOR: Final = "FeatureExtractor"
TUNER: Final = "Tuner"
TRAINER: Final = "Trainer"
FINE_TUNING: Final = "Trainer.fine_tuning"
BASELINE_IMPORTER: Final = "baseline_model"
BASELINE_RESOLVER: Final = "latest_blessed_model_resolver"
EVALUATOR_VALIDATION: Final = "Evaluator.validation"
EVALUATOR_TEST: Final = "Evaluator.test"
PUSHER: Final = "Pusher"
TFLITE_EXPORTER: Final = "TFLiteExporter"

EXAMPLES: Final = Output(EXAMPLE_GEN, "examples")
VALID_EXAMPLES: Final = Output(IMAGE_VALIDATOR, "valid_examples")
QUARANTINE: Final = Output(IMAGE_VALIDATOR, "quarantine")
STATISTICS: Final = Output(STATISTICS_GEN, "statistics")
ANOMALIES: Final = Output(EXAMPLE_VALIDATOR, "anomalies")
BACKBONE: Final = Output(BACKBONE_IMPORTER, "model")
FEATURES: Final = Output(FEATURE_EXTRACTOR, "features")
BEST_HYPERPARAMETERS: Final = Output(TUNER, "best_hyperparameters")
FINE_TUNING_RUN: Final = Output(FINE_TUNING, "model_run")
BLESSING: Final = Output(EVALUATOR_TEST, "blessing")
PUSHED_MODEL: Final = Output(PUSHER, "pushed_model")
TFLITE_MODEL: Final = Output(TFLITE_EXPORTER, "tflite_model")

# Input keys of an Evaluator.
MODEL_INPUT: Final = "model"
BASELINE_INPUT: Final = "baseline_model"
