"""Files and custom properties of TFLiteExporter's TFLiteModel artifact."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Final

from components.common.records import from_json

FLOAT16_FILE: Final = "float16.tflite"
INT8_FILE: Final = "int8.tflite"
LABELS_FILE: Final = "labels.txt"  # the class names in label order, a line each
TFLITE_METRICS_FILE: Final = "metrics.json"  # `TFLiteMetrics`
TFLITE_INFO_FILE: Final = "model_info.json"  # `TFLiteInfo`

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


@dataclasses.dataclass(frozen=True)
class TFLiteInfo:
    """What an app needs to use the models, whose input and output are float32."""

    image_size: tuple[int, int]  # height and width in pixels that photos are resized to, without their aspect ratio
    labels: list[str]  # class names in the order of the output
    color_space: str = "RGB"  # order of the channels
    pixel_scale: float = 1 / 255  # factor of 8-bit channel values
    value_range: tuple[float, float] = (0.0, 1.0)  # channel values after scaling
    quantization: dict[str, str] = dataclasses.field(  # weights and arithmetic by file
        default_factory=lambda: {
            FLOAT16_FILE: "float16 weights, float32 arithmetic",
            INT8_FILE: "int8 weights and arithmetic",
        }
    )


def labels_text(class_names: Sequence[str]) -> str:
    """Returns the content of `LABELS_FILE`; line breaks within a name become spaces."""
    return "".join(f"{' '.join(name.splitlines())}\n" for name in class_names)


def info_text(image_size: tuple[int, int], class_names: Sequence[str]) -> str:
    """Returns the content of `TFLITE_INFO_FILE`."""
    info = TFLiteInfo(image_size=image_size, labels=list(class_names))
    return json.dumps(dataclasses.asdict(info), indent=2, ensure_ascii=False) + "\n"


def read_info(text: str) -> TFLiteInfo:
    """Reads the content of `TFLITE_INFO_FILE`."""
    return from_json(TFLiteInfo, json.loads(text))
