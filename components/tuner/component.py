"""TFX's Tuner with an executor that also puts the best values into ML Metadata."""

from tfx.components.tuner import component
from tfx.dsl.components.base import executor_spec

from components.tuner.executor import Executor


class Tuner(component.Tuner):
    """TFX's Tuner; the best hyperparameters are custom properties of their artifact, too."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
