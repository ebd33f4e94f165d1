"""The pipeline's run-time parameters: values that a run on Kubeflow may change without compiling anew.

Whole execution parameters become inputs of their task, as TFX's RuntimeParameter would make them. Values inside a JSON
parameter (epochs within the Trainer's `custom_config`) have no place in TFX's spec: they arrive as further inputs of
the task, and `pipeline.kubeflow.container.entrypoint` sets them in the JSON before TFX sees it.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from components.common.settings import settings_of
from components.contracts import nodes
from components.modeling.hyperparameters import Hyperparameters
from pipeline.config import BlessingConfig, PipelineConfig
from pipeline.kubeflow.cluster import ClusterSettings

OVERRIDE_PREFIX = "override_"
_INTEGER, _DOUBLE, _STRING = "NUMBER_INTEGER", "NUMBER_DOUBLE", "STRING"

ExecProperties = dict[str, Any]
Setter = Callable[[ExecProperties, Any], None]


def set_json(properties: ExecProperties, name: str, path: tuple[str, ...], value: Any) -> None:
    """Sets a value inside a JSON execution parameter.

    Args:
        properties: The execution parameters; changed in place.
        name: The parameter that holds JSON text.
        path: Keys from the outermost object to the value.
        value: The new value.
    """
    document = json.loads(properties[name])
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    properties[name] = json.dumps(document)


def _hyperparameter(name: str) -> Setter:
    return lambda properties, value: set_json(properties, "custom_config", ("hyperparameters", name), value)


def _set_thresholds(properties: ExecProperties, kind: str, values: dict[str, float]) -> None:
    """Sets the first threshold of its kind: the one that the accuracy options give."""
    eval_config = json.loads(properties["eval_config"])
    thresholds = (
        entry["threshold"]
        for spec in eval_config["metrics_specs"]
        for metric in spec["metrics"]
        for entry in metric.get("per_slice_thresholds", [])
    )
    next(threshold for threshold in thresholds if kind in threshold)[kind].update(values)
    properties["eval_config"] = json.dumps(eval_config)


def _set_min_accuracy(properties: ExecProperties, value: float) -> None:
    _set_thresholds(properties, "value_threshold", {"lower_bound": value})


def _set_max_accuracy_drop(properties: ExecProperties, value: float) -> None:
    _set_thresholds(properties, "change_threshold", {"absolute": -value})


_TRAINERS = (nodes.TRAINER, nodes.TUNER, nodes.FINE_TUNING)
_BLESSING_SETTERS = {"min_accuracy": _set_min_accuracy, "max_accuracy_drop": _set_max_accuracy_drop}


def _set_serving_model_dir(properties: ExecProperties, value: str) -> None:
    set_json(properties, "push_destination", ("filesystem", "base_directory"), value)


def _set_transform_image_size(properties: ExecProperties, value: str) -> None:
    set_json(properties, "custom_config", ("image_size",), json.loads(value))


@dataclasses.dataclass(frozen=True)
class RuntimeParameter:
    """One value that a run may change.

    Attributes:
        name: What the user sees.
        type: KFP's parameter type.
        description: For the user interface.
        default: Its value in the compiled pipeline.
        properties: Per component id: the execution parameter that it replaces as a whole.
        setters: Per component id: how to set it inside an execution parameter.
    """

    name: str
    type: str
    description: str
    default: Callable[[PipelineConfig, ClusterSettings], Any]
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    setters: Mapping[str, Setter] = dataclasses.field(default_factory=dict)


def _value_of(group: str, name: str) -> Callable[[PipelineConfig, ClusterSettings], Any]:
    return lambda config, _: getattr(getattr(config, group), name)


def _from_settings(group: str, settings: Any, setters: Callable[[str], Mapping[str, Setter]]) -> list[RuntimeParameter]:
    """Makes the parameters that are declared as settings.

    Args:
        group: The field of `PipelineConfig` that holds the settings.
        settings: Their dataclass.
        setters: How a component is told a setting, by the setting's name.
    """
    return [
        RuntimeParameter(
            name,
            _INTEGER if field.type is int else _DOUBLE,
            f"{declared.help} It must be {declared.allowed}.",
            _value_of(group, name),
            setters=setters(name),
        )
        for name, (field, declared) in settings_of(settings).items()
        if declared.per_run
    ]


_SOURCE = (
    RuntimeParameter(
        "dataset",
        _STRING,
        "TFDS image-classification dataset, or synthetic_flowers",
        lambda config, _: config.data.dataset,
        properties={nodes.EXAMPLE_GEN: "dataset"},
    ),
)
_PHOTOS = (
    RuntimeParameter(
        "photos",
        _STRING,
        "folder or archive of class-named folders, as the containers see it, or its URI",
        lambda config, _: config.data.photos,
        properties=dict.fromkeys((nodes.PHOTOS_FINGERPRINT, nodes.EXAMPLE_GEN), "photos"),
    ),
    RuntimeParameter(
        "photos_fingerprint",
        _STRING,
        "what the photos' fingerprint must be; empty takes any photos",
        lambda config, _: config.data.fingerprint,
        properties={nodes.PHOTOS_FINGERPRINT: "expected"},
    ),
)
_COMMON = (
    RuntimeParameter(
        "backbone",
        _STRING,
        "registry name, TF Hub URL or SavedModel folder",
        lambda config, _: config.backbone.name,
        properties={nodes.BACKBONE_IMPORTER: "backbone"},
    ),
    RuntimeParameter(
        "image_size",
        _STRING,
        "height and width in pixels that the backbone reads, such as [224, 224]",
        lambda config, _: json.dumps(list(config.backbone.image_size)),
        properties={nodes.BACKBONE_IMPORTER: "image_size"},
        setters={nodes.TRANSFORM: _set_transform_image_size},
    ),
    *_from_settings("hyperparameters", Hyperparameters, lambda name: dict.fromkeys(_TRAINERS, _hyperparameter(name))),
    *_from_settings("blessing", BlessingConfig, lambda name: {nodes.EVALUATOR_TEST: _BLESSING_SETTERS[name]}),
    RuntimeParameter(
        "serving_model_dir",
        _STRING,
        "where a blessed model is pushed: gs://, s3:// or a folder of a mounted volume",
        lambda _, settings: settings.serving_model_dir,
        properties={nodes.BASELINE_READER: "serving_model_dir"},
        setters={nodes.PUSHER: _set_serving_model_dir},
    ),
)
_ALL = {parameter.name: parameter for parameter in (*_SOURCE, *_PHOTOS, *_COMMON)}


def runtime_parameters(config: PipelineConfig) -> tuple[RuntimeParameter, ...]:
    """Returns the parameters of a pipeline."""
    return (*(_PHOTOS if config.data.photos else _SOURCE), *_COMMON)


def apply_overrides(node_id: str, properties: ExecProperties) -> ExecProperties:
    """Sets the values that arrived beside the execution parameters, inside a container.

    Args:
        node_id: The component.
        properties: Its execution parameters, with further ones named `override_NAME`.

    Returns:
        The execution parameters as TFX's executor expects them.
    """
    result = {name: value for name, value in properties.items() if not name.startswith(OVERRIDE_PREFIX)}
    for name, value in properties.items():
        if name.startswith(OVERRIDE_PREFIX):
            parameter = _ALL[name.removeprefix(OVERRIDE_PREFIX)]
            parameter.setters[node_id](result, int(value) if parameter.type == _INTEGER else value)
    return result
