"""TFX's Pusher with an executor that pushes atomically.

Used by `pipeline.create_pipeline`.
"""

from typing import Any

from tfx.components.pusher import component
from tfx.dsl.components.base import executor_spec

from components.code_digest import code_digest
from components.pusher.executor import Executor


class Pusher(component.Pusher):
    """TFX's Pusher; a version appears in the serving folder whole or not at all."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, **arguments: Any):
        """Constructs a Pusher.

        Args:
            **arguments: Those of TFX's Pusher but `custom_config`, which carries the digest of this code.
        """
        super().__init__(custom_config={"code_digest": code_digest("pusher")}, **arguments)
