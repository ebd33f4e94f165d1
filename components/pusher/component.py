"""TFX's Pusher with an executor that pushes atomically and keeps a pointer to the latest version."""

from tfx import types
from tfx.components.pusher import component
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.contracts.artifacts import Drift
from components.contracts.drift import DRIFT_KEY
from components.pusher.executor import BASELINE_KEY, EVALUATION_KEY, Executor


class PusherSpec(standard_component_specs.PusherSpec):
    """TFX's, with what the pointer tells of the model, and the model that it was compared with."""

    INPUTS = {
        **standard_component_specs.PusherSpec.INPUTS,
        EVALUATION_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        BASELINE_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        DRIFT_KEY: component_spec.ChannelParameter(type=Drift, optional=True),
    }


class Pusher(component.Pusher):
    """TFX's Pusher; a version appears in the serving folder whole or not at all."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        evaluation: types.BaseChannel,
        serving_model_dir: str,
        baseline_model: types.BaseChannel | None = None,
        drift: types.BaseChannel | None = None,
    ):
        """Constructs a Pusher.

        Args:
            model: The model.
            model_blessing: Whether it is pushed.
            evaluation: Its evaluation on the test split.
            serving_model_dir: The folder of versions to push to.
            baseline_model: From a BaselineReader of the same folder, if the model was compared with that one.
            drift: From a DriftDetector, whose sample of photos is kept beside the versions.
        """
        filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=serving_model_dir)
        spec = PusherSpec(
            model=model,
            model_blessing=model_blessing,
            evaluation=evaluation,
            baseline_model=baseline_model,
            drift=drift,
            push_destination=pusher_pb2.PushDestination(filesystem=filesystem),
            custom_config=json_utils.dumps(None),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        # TFX's own constructor knows no inputs but its spec's.
        base_component.BaseComponent.__init__(self, spec=spec)
