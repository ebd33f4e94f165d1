"""Kubernetes' strategic merge of a patch into a pod's spec."""

import json
from typing import Any

# Lists that are merged by a key; others are replaced.
_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}


def patched(spec: dict[str, Any], patch: str) -> dict[str, Any]:
    """Returns a pod's spec with a patch, JSON or nothing, merged in."""
    return _merged(spec, json.loads(patch)) if patch else spec


def _merged(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    result = dict(value)
    for name, change in patch.items():
        if isinstance(change, dict):
            result[name] = _merged(result.get(name) or {}, change)
        elif name in _MERGE_KEYS and change is not None:
            key = _MERGE_KEYS[name]
            items = {item[key]: item for item in result.get(name) or []}
            for item in change:
                items[item[key]] = _merged(items.get(item[key], {}), item)
            result[name] = list(items.values())
        else:
            result[name] = change
    return result
