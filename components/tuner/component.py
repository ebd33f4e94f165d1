"""TFX's Tuner, with what it found as custom properties of its artifact."""

import json
from typing import Any

from tfx import types
from tfx.components.tuner import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components.contracts.training import TRIALS_PROPERTY, TUNED_VALUES_PROPERTY, VALIDATION_ACCURACY_PROPERTY


class Executor(executor.Executor):
    """Searches, then keeps the result in ML Metadata, where no file has to be read for it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        super().Do(input_dict, output_dict, exec_properties)
        best = artifact_utils.get_single_instance(output_dict[standard_component_specs.BEST_HYPERPARAMETERS_KEY])
        # The best trial comes first.
        trials = _read_json(output_dict[standard_component_specs.TUNER_RESULTS_KEY])
        best.set_string_custom_property(TUNED_VALUES_PROPERTY, json.dumps(_read_json([best])["values"]))
        best.set_float_custom_property(VALIDATION_ACCURACY_PROPERTY, trials[0]["score"])
        best.set_int_custom_property(TRIALS_PROPERTY, len(trials))


def _read_json(artifacts: list[types.Artifact]) -> Any:
    """Returns the content of the only file of the only artifact."""
    path = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(artifacts))
    return json.loads(io_utils.read_bytes_file(path))


class Tuner(component.Tuner):
    """TFX's Tuner; the best hyperparameters are custom properties of their artifact as well."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
