"""Run-time parameters: values that each run on Kubeflow may change, without another compilation.

Whole execution parameters become inputs of their task. Values inside JSON parameters, for which TFX's spec has no place
(epochs in the Trainer's `custom_config`), become additional inputs; the entrypoint writes them into the JSON.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from components.common.settings import settings_of
from components.contracts import nodes
from components.modeling.hyperparameters import Hyperparameters
from pipeline.config import BlessingConfig, PipelineConfig
from pipeline.kubeflow.cluster import ClusterSettings

OVERRIDE_PREFIX: Final = "override_"
_DOUBLE = "NUMBER_DOUBLE"
# An execution parameter and keys inside of its JSON, outermost first; levels in between may be left out.
_Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RuntimeParameter:
    """One value that a run may change: by component id, a whole execution parameter or a path inside a JSON one.

    `convert` changes the value that KFP passes to the one in the JSON.
    """

    name: str
    description: str
    default: Callable[[PipelineConfig, ClusterSettings], Any]
    type: str = "STRING"  # KFP's.
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    paths: Mapping[str, _Path] = dataclasses.field(default_factory=dict)
    convert: Callable[[Any], Any] = lambda value: value


def _value_of(group: str, name: str) -> Callable[[PipelineConfig, ClusterSettings], Any]:
    return lambda config, _: getattr(getattr(config, group), name)


def _hyperparameters() -> list[RuntimeParameter]:
    trainers = (nodes.TRAINER, nodes.TUNER, nodes.FINE_TUNING)
    return [
        RuntimeParameter(
            name,
            f"{declared.help} It must be {declared.allowed}.",
            _value_of("hyperparameters", name),
            "NUMBER_INTEGER" if field.type is int else _DOUBLE,
            paths=dict.fromkeys(trainers, ("custom_config", "hyperparameters", name)),
            # KFP has one type of number.
            convert=int if field.type is int else float,
        )
        for name, (field, declared) in settings_of(Hyperparameters).items()
        if declared.per_run
    ]


def _threshold(name: str, path: _Path, convert: Callable[[float], float]) -> RuntimeParameter:
    """Makes a parameter of the blessing; the options for accuracy give the first threshold of each kind."""
    _, declared = settings_of(BlessingConfig)[name]
    description = f"{declared.help} It must be {declared.allowed}."
    paths = {nodes.EVALUATOR_TEST: ("eval_config", "per_slice_thresholds", *path)}
    return RuntimeParameter(name, description, _value_of("blessing", name), _DOUBLE, paths=paths, convert=convert)


_DATASET = RuntimeParameter(
    "dataset",
    "TFDS image-classification dataset, or synthetic_flowers.",
    _value_of("data", "dataset"),
    properties={nodes.EXAMPLE_GEN: "dataset"},
)
_PHOTOS = (
    RuntimeParameter(
        "photos",
        "Folder or archive of class-named folders: a path in the containers, or a URI.",
        _value_of("data", "photos"),
        properties=dict.fromkeys((nodes.PHOTOS_FINGERPRINT, nodes.EXAMPLE_GEN), "photos"),
    ),
    RuntimeParameter(
        "photos_fingerprint",
        "Required fingerprint of the photos; empty accepts any photos.",
        _value_of("data", "fingerprint"),
        properties={nodes.PHOTOS_FINGERPRINT: "expected"},
    ),
)
_COMMON = (
    RuntimeParameter(
        "backbone",
        "Registry name, TF Hub URL or SavedModel folder.",
        _value_of("backbone", "name"),
        properties={nodes.BACKBONE_IMPORTER: "backbone"},
    ),
    RuntimeParameter(
        "image_size",
        "Input height and width of the backbone in pixels, such as [224, 224].",
        lambda config, _: json.dumps(list(config.backbone.image_size)),
        properties={nodes.BACKBONE_IMPORTER: "image_size"},
        paths={nodes.TRANSFORM: ("custom_config", "image_size")},
        convert=json.loads,
    ),
    *_hyperparameters(),
    _threshold("min_accuracy", ("value_threshold", "lower_bound"), float),
    _threshold("max_accuracy_drop", ("change_threshold", "absolute"), lambda value: -value),
    RuntimeParameter(
        "serving_model_dir",
        "Where a blessed model is pushed: gs://, s3:// or a folder of a mounted volume.",
        lambda _, settings: settings.serving_model_dir,
        properties={nodes.BASELINE_READER: "serving_model_dir"},
        paths={nodes.PUSHER: ("push_destination", "filesystem", "base_directory")},
    ),
)
_ALL = {parameter.name: parameter for parameter in (_DATASET, *_PHOTOS, *_COMMON)}


def runtime_parameters(config: PipelineConfig) -> tuple[RuntimeParameter, ...]:
    """Returns the parameters of a pipeline."""
    return (*_PHOTOS, *_COMMON) if config.data.photos else (_DATASET, *_COMMON)


def apply_overrides(node_id: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Returns execution parameters as TFX expects them: inputs named `override_NAME` go into the JSON parameters."""
    result = {name: value for name, value in properties.items() if not name.startswith(OVERRIDE_PREFIX)}
    for name in properties.keys() - result.keys():
        parameter = _ALL[name.removeprefix(OVERRIDE_PREFIX)]
        property_name, *outer, last = parameter.paths[node_id]
        document = inner = json.loads(result[property_name])
        for key in outer:
            inner = _find(inner, key)
        inner[last] = parameter.convert(properties[name])
        result[property_name] = json.dumps(document)
    return result


def _find(document: Any, key: str) -> Any:
    """Returns the first value of a key, at any depth."""
    if isinstance(document, dict) and key in document:
        return document[key]
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return next((found for child in children if (found := _find(child, key)) is not None), None)
