"""TFLiteExporter, which converts the classifier to TensorFlow Lite and measures what that costs."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.common.errors import UserError
from components.contracts.artifact_types import TFLiteModel
from components.tflite_exporter.executor import Executor

# What TensorFlow recommends at least (https://www.tensorflow.org/lite/performance/post_training_quantization).
_MIN_CALIBRATION_PHOTOS = 100


class TFLiteExporterSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of TFLiteExporter."""

    PARAMETERS = {
        "calibration_photos": component_spec.ExecutionParameter(type=int),
        "test_photos": component_spec.ExecutionParameter(type=int),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
    }
    OUTPUTS = {"tflite_model": component_spec.ChannelParameter(type=TFLiteModel)}


class TFLiteExporter(base_component.BaseComponent):
    """Converts a classifier to float16 and int8, and measures both on the test split beside the original."""

    SPEC_CLASS = TFLiteExporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        model_blessing: types.BaseChannel | None = None,
        calibration_photos: int = 128,
        test_photos: int = 200,
    ):
        """Constructs a TFLiteExporter.

        Args:
            model: A classifier that this project's Trainer exported.
            examples: Raw examples; the train split calibrates int8, accuracy is measured on the test split.
            transform_graph: Transform's graph, which decodes and resizes photos.
            model_blessing: If given, only a blessed model is converted.
            calibration_photos: At least 100; a smaller split gives all it has.
            test_photos: At least 1; a smaller split gives all it has.

        Raises:
            UserError: Too few photos.
        """
        if calibration_photos < _MIN_CALIBRATION_PHOTOS or test_photos < 1:
            raise UserError(
                f"TFLite export got calibration_photos={calibration_photos} and test_photos={test_photos}; they must "
                f"be at least {_MIN_CALIBRATION_PHOTOS} and 1"
            )
        super().__init__(
            TFLiteExporterSpec(
                model=model,
                examples=examples,
                transform_graph=transform_graph,
                model_blessing=model_blessing,
                tflite_model=types.Channel(type=TFLiteModel),
                calibration_photos=calibration_photos,
                test_photos=test_photos,
            )
        )
