"""A run's parameters as flat names and values."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.history.explanation import thresholds
from pipeline.history.records import ExecutionRecord

_EVAL_CONFIG = "eval_config"


def run_parameters(executions: Mapping[str, ExecutionRecord]) -> dict[str, Any]:
    """Collects the execution parameters of a run, TFX's JSON texts taken apart.

    Args:
        executions: The run's executions by node id.

    Returns:
        Values by names such as `Trainer.custom_config.hyperparameters.epochs`; a blessing's bounds are named
        `Evaluator.test.threshold.accuracy.value`.
    """
    return {
        f"{node_id}.{name}": value
        for node_id, execution in executions.items()
        for name, value in step_parameters(execution).items()
    }


def step_parameters(execution: ExecutionRecord) -> dict[str, Any]:
    """Collects one execution's parameters, named as in `run_parameters` but without the node."""
    return dict(_named(execution))


def decoded(value: Any) -> Any:
    """Returns the content of a JSON text; any other value as it is."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return None if value == "null" else value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _named(execution: ExecutionRecord) -> Iterator[tuple[str, Any]]:
    for key, text in sorted(execution.properties.items()):
        value = decoded(text)
        if key == _EVAL_CONFIG and isinstance(value, dict):
            for metric, kind, bound in thresholds(execution):
                yield f"threshold.{metric}.{kind}", bound
            for metric in (metric for spec in value.get("metrics_specs", []) for metric in spec.get("metrics", [])):
                metric.pop("per_slice_thresholds", None)
        yield from _flatten(key, value)


def _flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _flatten(f"{name}.{key}", entry)
    elif isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        for index, entry in enumerate(value):
            yield from _flatten(f"{name}[{index}]", entry)
    else:
        yield name, value
