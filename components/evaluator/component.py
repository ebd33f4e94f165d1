"""TFX's Evaluator with an executor that also leaves readable results.

Used twice by `pipeline.create_pipeline`, for the validation and for the test split.
"""

from typing import Any

from tfx.components.evaluator import component
from tfx.dsl.components.base import executor_spec

from components.code_digest import code_digest
from components.evaluator.executor import Executor

_CODE = ("evaluator", "util", "model/head.py", "model/input_pipeline.py")


class Evaluator(component.Evaluator):
    """TFX's Evaluator; its evaluation artifact also holds `metrics.json` and `predictions.jsonl`."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, **arguments: Any):
        """Constructs an Evaluator.

        Args:
            **arguments: Those of TFX's Evaluator.
        """
        super().__init__(**arguments)
        # TFX's own way of adding a parameter to a spec (see its udf_utils): an edit here must evaluate again.
        self.spec.exec_properties["code_digest"] = code_digest(*_CODE)
