"""TFX's Pusher with an executor that pushes atomically."""

from tfx.components.pusher import component
from tfx.dsl.components.base import executor_spec

from components.pusher.executor import Executor


class Pusher(component.Pusher):
    """TFX's Pusher; a version appears in the serving folder whole or not at all."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
