"""TFX's Trainer on feature examples, with one more input: the photos that TensorBoard shows."""

from typing import Any, Final

from tfx import types
from tfx.components.trainer import component, executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.types.standard_component_specs import CUSTOM_CONFIG_KEY
from tfx.utils import io_utils, json_utils

from components.contracts import VALIDATION_SPLIT

_PHOTOS_KEY: Final = "photos"
VALIDATION_PHOTOS: Final = "validation_photos"  # entry of `custom_config`: glob patterns of raw examples


class Executor(executor.GenericExecutor):
    """Passes the photos of the validation split to the training function."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        photos = io_utils.all_files_pattern(artifact_utils.get_split_uri(input_dict[_PHOTOS_KEY], VALIDATION_SPLIT))
        config = json_utils.loads(exec_properties[CUSTOM_CONFIG_KEY])
        config[VALIDATION_PHOTOS] = [photos]
        super().Do(input_dict, output_dict, {**exec_properties, CUSTOM_CONFIG_KEY: json_utils.dumps(config)})


class TrainerSpec(standard_component_specs.TrainerSpec):
    """TFX's specification and the photos that features were made of."""

    INPUTS = {
        **standard_component_specs.TrainerSpec.INPUTS,
        _PHOTOS_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class Trainer(component.Trainer):
    """TFX's Trainer on feature examples; `photos` are the raw examples that they were made of."""

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        run_fn: str,
        *,
        train_args: trainer_pb2.TrainArgs,
        eval_args: trainer_pb2.EvalArgs,
        custom_config: dict[str, Any],
        **inputs: types.BaseChannel | None,
    ):
        """Constructs a Trainer; `run_fn` is a dotted name, the inputs are those of `TrainerSpec`."""
        spec = TrainerSpec(
            run_fn=run_fn,
            train_args=train_args,
            eval_args=eval_args,
            custom_config=json_utils.dumps(custom_config),
            model=types.Channel(type=standard_artifacts.Model),
            model_run=types.Channel(type=standard_artifacts.ModelRun),
            **inputs,
        )
        # TFX's own constructor accepts only the inputs of its own specification.
        base_component.BaseComponent.__init__(self, spec=spec)
