"""The artifact type that holds the converted models."""

from typing import Final

from tfx import types

ORIGINAL: Final = "original"
FLOAT16: Final = "float16"
INT8: Final = "int8"
LABELS_FILE: Final = "labels.txt"
METRICS_FILE: Final = "metrics.json"

# Custom properties: whether anything was converted (1 or 0), and accuracies on the same test photos, in [0, 1].
EXPORTED_PROPERTY: Final = "exported"
ACCURACY_PROPERTY: Final = "accuracy"  # followed by _original, _float16, _int8


class TFLiteModel(types.Artifact):
    """A classifier converted to TensorFlow Lite.

    Signature `serving_default`: from `image`, float32 [1, H, W, 3], RGB in [0, 1], to `probabilities`, float32 [1, C],
    in the order of the labels.

    File structure, empty when the model was not blessed:
       - `{uri}/float16.tflite`: weights in float16, arithmetic in float32.
       - `{uri}/int8.tflite`: weights and arithmetic in int8, all but the first and the last step.
       - `{uri}/labels.txt`: the class names, a line each; both models carry it, too (see `metadata.py`).
       - `{uri}/metrics.json`: `test_photos` and `calibration_photos` (how many); for `original`, `float16` and `int8`
         `bytes` and `accuracy`; for the last two `max_probability_difference`, the largest to the original's.
    """

    # Kubeflow takes only names of the form `namespace.Name`.
    TYPE_NAME = "flowers.TFLiteModel"


def model_file(precision: str) -> str:
    """Returns the name of a converted model's file."""
    return f"{precision}.tflite"
