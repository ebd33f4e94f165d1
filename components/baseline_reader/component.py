"""BaselineReader, which finds the latest blessed model in the serving folder.

Kubeflow Pipelines runs no Resolver. What Pusher leaves beside the versions tells which model it is.
"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.baseline_reader.executor import CANDIDATE_KEY, MODEL_KEY, SERVING_MODEL_DIR_KEY, Executor


class BaselineReaderSpec(component_spec.ComponentSpec):
    """Parameter, input and output of BaselineReader."""

    PARAMETERS = {SERVING_MODEL_DIR_KEY: component_spec.ExecutionParameter(type=str)}
    INPUTS = {CANDIDATE_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model)}
    OUTPUTS = {MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model)}


class BaselineReader(base_component.BaseComponent):
    """Copies the model that was pushed last under the pipeline's root.

    Its output `model` carries the version as a custom property. It is "none", and the artifact holds no model, as long
    as nothing has been pushed. The sample of its photos that DriftDetector reads lies beside it, if it was kept.
    """

    SPEC_CLASS = BaselineReaderSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, serving_model_dir: str, candidate: types.BaseChannel):
        """Constructs a BaselineReader.

        Args:
            serving_model_dir: The folder that Pusher pushes to.
            candidate: The model that is to be compared. When it is the one that was pushed last, because a run is
                repeated, its baseline is what it was compared with the first time.
        """
        super().__init__(
            BaselineReaderSpec(
                serving_model_dir=serving_model_dir,
                candidate=candidate,
                model=types.Channel(type=standard_artifacts.Model),
            )
        )
