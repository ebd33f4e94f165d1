"""Files and custom properties of TFLiteExporter's TFLiteModel artifact."""

import dataclasses
from typing import Final

FLOAT16_FILE: Final = "float16.tflite"
INT8_FILE: Final = "int8.tflite"
LABELS_FILE: Final = "labels.txt"  # the class names in label order, a line each
TFLITE_METRICS_FILE: Final = "metrics.json"  # `TFLiteMetrics`

# Custom properties of the TFLiteModel artifact.
EXPORTED_PROPERTY: Final = "exported"  # 1, or 0 when the model was not blessed and the artifact holds no file
# Accuracies on the same test photos, in [0, 1].
ORIGINAL_ACCURACY_PROPERTY: Final = "accuracy_original"
FLOAT16_ACCURACY_PROPERTY: Final = "accuracy_float16"
INT8_ACCURACY_PROPERTY: Final = "accuracy_int8"


@dataclasses.dataclass(frozen=True)
class OriginalModel:
    """The model that was converted: its size in bytes, and its accuracy in [0, 1]."""

    bytes: int
    accuracy: float


@dataclasses.dataclass(frozen=True)
class ConvertedModel(OriginalModel):
    """A conversion of it, and the largest difference of its probabilities to the original's, in [0, 1]."""

    max_probability_difference: float


@dataclasses.dataclass(frozen=True)
class TFLiteMetrics:
    """Sizes and accuracies before and after the conversion."""

    test_photos: int  # for the accuracies
    calibration_photos: int  # training photos for the ranges of int8
    original: OriginalModel
    float16: ConvertedModel  # weights in float16, arithmetic in float32
    int8: ConvertedModel  # weights and arithmetic in int8
