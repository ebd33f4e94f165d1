"""A run's parameters as flat names and values."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.records.records import ExecutionRecord

_EVAL_CONFIG = "eval_config"


def run_parameters(executions: Mapping[str, ExecutionRecord]) -> dict[str, Any]:
    """Collects the execution parameters of a run, TFX's JSON texts taken apart.

    Args:
        executions: The run's executions by node id.

    Returns:
        Values by names such as `Trainer.custom_config.hyperparameters.epochs`; thresholds are named
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
            for metric in (metric for spec in value.get("metrics_specs", []) for metric in spec.get("metrics", [])):
                yield from _thresholds(metric)
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


def _thresholds(metric: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the thresholds of a metric of an EvalConfig, and removes them from it."""
    name = json.loads(f"{{{metric.get('config', '')}}}").get("name", metric["class_name"])
    for entry in metric.pop("per_slice_thresholds", []):
        for spec in entry.get("slicing_specs") or [{}]:
            label = "".join(f"[{value}]" for value in spec.get("feature_values", {}).values())
            for kind, threshold in entry["threshold"].items():
                is_upper = "upper_bound" in threshold or threshold.get("direction") == "LOWER_IS_BETTER"
                side = f"{kind.removesuffix('_threshold')}{'.upper' if is_upper else ''}"
                (bound,) = (threshold[key] for key in ("lower_bound", "upper_bound", "absolute") if key in threshold)
                yield f"threshold.{name}{label}.{side}", bound
