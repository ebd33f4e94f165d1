"""Compiles the pipeline to a KFP v2 pipeline spec and KFP's Kubernetes platform spec.

TFX's KubeflowV2DagRunner translates the pipeline. This module adds run-time parameters, Kubernetes' options, and
the execution records that `pipeline.kubeflow.collect` reads.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from tfx.dsl.components.base import base_component
from tfx.orchestration import pipeline as tfx_pipeline

from components.common.errors import UserError, refuse_credentials
from components.contracts.nodes import BASELINE_READER, PHOTOS_FINGERPRINT
from pipeline.config import NO_BASELINE, PUSHED_BASELINE, RESOLVER_BASELINE, PipelineConfig
from pipeline.graph import create_pipeline
from pipeline.kubeflow.cluster import EVERY_COMPONENT, ROOT_SCHEMES, ClusterSettings, Resources, kubernetes_name
from pipeline.kubeflow.execution_record import RECORD_KEY
from pipeline.kubeflow.runtime_parameters import OVERRIDE_PREFIX, RuntimeParameter, runtime_parameters

ENTRYPOINT = ["python", "-m", "pipeline.kubeflow.entrypoint"]
_RECORD_TYPE = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
# Counted from the first try; Argo ends a running try then. Unset means no retries since KFP 2.14, and the hour that
# KFP's SDK writes is too short for a long training.
_RETRY_LIMIT = "86400s"
# They read something that changes while their inputs stay the same.
_NEVER_CACHED = (BASELINE_READER, PHOTOS_FINGERPRINT)

Spec = dict[str, Any]


def compile_pipeline(config: PipelineConfig, settings: ClusterSettings, path: Path) -> None:
    """Writes the pipeline spec, and the platform spec if there is one, to a YAML file; replaces an existing file."""
    documents = [document for document in build_spec(config, settings) if document]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump_all(documents, sort_keys=True))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another --package") from error


def build_spec(config: PipelineConfig, settings: ClusterSettings) -> tuple[Spec, Spec]:
    """Returns the pipeline spec and the platform spec; the platform spec is empty when nothing needs it.

    A baseline that KFP cannot use, and settings of an unknown component are UserErrors.
    """
    _check_baseline(config.baseline)
    # The dataset may change per run, so the fingerprint of the compiled one cannot be checked.
    data = config.data if config.data.photos else dataclasses.replace(config.data, fingerprint="")
    name = kubernetes_name(config.name)
    pipeline = create_pipeline(dataclasses.replace(config, name=name, data=data, enable_cache=settings.enable_cache))
    for component in pipeline.components:
        if isinstance(component, base_component.BaseComponent):
            component.with_platform_config(_resource_spec(settings.resources_of(component.id)))
    spec = _translate(pipeline, settings.image)
    spec["defaultPipelineRoot"] = settings.pipeline_root
    for parameter in runtime_parameters(config):
        _add_parameter(spec, parameter, parameter.default(config, settings))
    for task_id, task in spec["root"]["dag"]["tasks"].items():
        _set_task_options(task, settings)
        container = spec["deploymentSpec"]["executors"][f"{task_id}_executor"].get("container")
        if container:
            _add_record(spec, task_id, container)
            if settings.env:
                container["env"] = [{"name": name, "value": value} for name, value in sorted(settings.env.items())]
    platform = _platform_spec(spec, settings)
    _rename_for_kubernetes(spec)
    return spec, platform


def _check_baseline(baseline: str) -> None:
    refuse_credentials("baseline", baseline)
    if baseline == RESOLVER_BASELINE:
        raise UserError(
            "Kubeflow Pipelines does not run resolvers; use --baseline pushed, none or the URI of a Model artifact"
        )
    if baseline not in (PUSHED_BASELINE, NO_BASELINE) and not re.fullmatch(
        rf"({'|'.join(ROOT_SCHEMES)})[^/]+/.+", baseline
    ):
        raise UserError(
            f"baseline {baseline!r} is not in a bucket: Kubeflow imports models only from {', '.join(ROOT_SCHEMES)}; "
            "copy the model's folder to a bucket, or use --baseline pushed"
        )


def _translate(pipeline: tfx_pipeline.Pipeline, image: str) -> Spec:
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

    config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=ENTRYPOINT, use_pipeline_spec_2_1=True
    )
    return dict(kubeflow_v2_dag_runner.KubeflowV2DagRunner(config).run(pipeline, write_out=False)["pipelineSpec"])


def _resource_spec(resources: Resources) -> Any:
    """Returns TFX's platform config of a component."""
    from kfp.pipeline_spec import pipeline_spec_pb2

    spec = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec(
        cpu_request=resources.cpu,
        cpu_limit=resources.cpu_limit,
        memory_request=resources.memory,
        memory_limit=resources.memory_limit,
    )
    if resources.gpu:
        spec.accelerator.type = resources.gpu_type
        spec.accelerator.count = resources.gpu
    return spec


def _add_parameter(spec: Spec, parameter: RuntimeParameter, default: Any) -> None:
    """Declares a run-time parameter and connects it to the tasks that use it."""
    tasks, components = spec["root"]["dag"]["tasks"], spec["components"]
    definition = {"parameterType": parameter.type, "defaultValue": default, "description": parameter.description}
    spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})[parameter.name] = definition
    inputs = {task_id: name for task_id, name in parameter.properties.items() if task_id in tasks}
    for task_id in parameter.paths:
        if task_id in tasks:
            inputs[task_id] = f"{OVERRIDE_PREFIX}{parameter.name}"
            parameters = components[task_id].setdefault("inputDefinitions", {}).setdefault("parameters", {})
            parameters[inputs[task_id]] = {"parameterType": parameter.type}
    for task_id, name in inputs.items():
        tasks[task_id]["inputs"]["parameters"][name] = {"componentInputParameter": parameter.name}


def _add_record(spec: Spec, task_id: str, container: Spec) -> None:
    outputs = spec["components"][task_id].setdefault("outputDefinitions", {})
    outputs.setdefault("artifacts", {})[RECORD_KEY] = {"artifactType": dict(_RECORD_TYPE)}
    container["args"] += ["--json_serialized_outputs_spec_args", json.dumps(outputs, sort_keys=True)]
    container["args"] += ["--node_id", task_id, "--pipeline_name", spec["pipelineInfo"]["name"]]


def _set_task_options(task: Spec, settings: ClusterSettings) -> None:
    is_cached = settings.enable_cache and task["taskInfo"]["name"] not in _NEVER_CACHED
    task["cachingOptions"] = {"enableCache": True} if is_cached else {}
    if settings.retries:
        task["retryPolicy"] = {
            "maxRetryCount": settings.retries,
            "backoffDuration": f"{settings.retry_backoff_seconds}s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": _RETRY_LIMIT,
        }


def _platform_spec(spec: Spec, settings: ClusterSettings) -> Spec:
    """Returns the second document of a pipeline file, or an empty one without node selectors, volumes and secrets."""
    executors = spec["deploymentSpec"]["executors"]
    component_ids = {component["executorLabel"]: name for name, component in spec["components"].items()}
    named = {*settings.node_selectors, *settings.resources} - {EVERY_COMPONENT}
    if unknown := sorted(named - set(component_ids.values())):
        known = ", ".join(sorted(component_ids.values()))
        raise UserError(f"the pipeline has no component {', '.join(unknown)}; use one of {known}")
    configs = {
        _executor(label): config
        for label, executor in executors.items()
        if "container" in executor and (config := _executor_config(component_ids[label], settings))
    }
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": configs}}}} if configs else {}


def _executor_config(component_id: str, settings: ClusterSettings) -> Spec:
    from kfp.kubernetes import kubernetes_executor_config_pb2 as pb

    config = pb.KubernetesExecutorConfig()
    selectors = settings.node_selectors
    config.node_selector.labels.update(selectors.get(component_id, selectors.get(EVERY_COMPONENT, {})))
    for claim, mount_path in sorted(settings.volumes.items()):
        config.pvc_mount.add(constant=claim, mount_path=mount_path)
    for secret, variables in sorted(settings.secret_env.items()):
        keys = config.secret_as_env.add(secret_name=secret).key_to_env
        for key, variable in sorted(variables.items()):
            keys.add(secret_key=key, env_var=variable)
    result: Spec = json_format.MessageToDict(config)
    return {} if result == {"nodeSelector": {}} else result


def _rename_for_kubernetes(spec: Spec) -> None:
    """Renames tasks, components and executors as KFP's SDK does (`trainer`, `comp-trainer`, `exec-trainer`).

    Argo makes pod names out of TFX's names, and Kubernetes refuses `Evaluator.test` and `TfdsExampleGen`.
    """
    dag, deployment = spec["root"]["dag"], spec["deploymentSpec"]
    dag["tasks"] = {kubernetes_name(task_id): _renamed(task) for task_id, task in dag["tasks"].items()}
    spec["components"] = {
        _component(name): {**component, "executorLabel": _executor(component["executorLabel"])}
        for name, component in spec["components"].items()
    }
    deployment["executors"] = {_executor(label): executor for label, executor in deployment["executors"].items()}


def _component(name: str) -> str:
    return f"comp-{kubernetes_name(name)}"


def _executor(label: str) -> str:
    return f"exec-{kubernetes_name(label.removesuffix('_executor'))}"


def _renamed(task: Spec) -> Spec:
    task["taskInfo"]["name"] = kubernetes_name(task["taskInfo"]["name"])
    task["componentRef"]["name"] = _component(task["componentRef"]["name"])
    if "dependentTasks" in task:
        task["dependentTasks"] = sorted(map(kubernetes_name, task["dependentTasks"]))
    for artifact in task.get("inputs", {}).get("artifacts", {}).values():
        producer = artifact["taskOutputArtifact"]
        producer["producerTask"] = kubernetes_name(producer["producerTask"])
    for parameter in task.get("inputs", {}).get("parameters", {}).values():
        if producer := parameter.get("taskOutputParameter"):
            # TFX adds a suffix that no task's name has.
            producer["producerTask"] = kubernetes_name(producer["producerTask"].removesuffix("_task"))
    return task
