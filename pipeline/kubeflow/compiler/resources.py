"""Resources, retries, caching, environment, node selectors and volumes in a compiled pipeline.

KFP keeps the first four in the pipeline spec and the others in its Kubernetes platform spec.
"""

from typing import Any

from google.protobuf import json_format

from components.common.errors import UserError
from components.contracts.nodes import BASELINE_READER, PHOTOS_FINGERPRINT
from pipeline.kubeflow.cluster import EVERY_COMPONENT, ClusterSettings, Resources
from pipeline.kubeflow.compiler.names import kubernetes_name

Spec = dict[str, Any]

# From the first try's start: Argo starts no other try later, and ends a running one. Unset means no retry at all since
# KFP 2.14. The hour that KFP's SDK writes would be too short for a long training.
_RETRIES_WITHIN = "86400s"
# What they read changes while their inputs stay the same.
_NEVER_CACHED = (BASELINE_READER, PHOTOS_FINGERPRINT)


def resource_spec(resources: Resources) -> Any:
    """Returns TFX's platform config of a component.

    Args:
        resources: What the component asks for.
    """
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


def set_task_options(task: Spec, settings: ClusterSettings) -> None:
    """Sets retries and caching of a task.

    Args:
        task: The task's spec, with TFX's names; changed in place.
        settings: The cluster.
    """
    is_cached = settings.enable_cache and task["taskInfo"]["name"] not in _NEVER_CACHED
    task["cachingOptions"] = {"enableCache": True} if is_cached else {}
    if settings.retries:
        task["retryPolicy"] = {
            "maxRetryCount": settings.retries,
            "backoffDuration": f"{settings.retry_backoff_seconds}s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": _RETRIES_WITHIN,
        }


def set_container_options(container: Spec, settings: ClusterSettings) -> None:
    """Sets a container's environment variables.

    Args:
        container: The container's spec; changed in place.
        settings: The cluster.
    """
    if settings.env:
        container["env"] = [{"name": name, "value": value} for name, value in sorted(settings.env.items())]


def platform_spec(spec: Spec, settings: ClusterSettings) -> Spec:
    """Builds KFP's Kubernetes platform spec.

    Args:
        spec: The pipeline spec, with TFX's names.
        settings: The cluster.

    Returns:
        The second document of a pipeline file; empty when no component has node selectors, volumes or secrets.

    Raises:
        UserError: A component is named that the pipeline does not have.
    """
    executors = spec["deploymentSpec"]["executors"]
    component_ids = {component["executorLabel"]: name for name, component in spec["components"].items()}
    named = {*settings.node_selectors, *settings.resources} - {EVERY_COMPONENT}
    if unknown := named - set(component_ids.values()):
        known = ", ".join(sorted(component_ids.values()))
        raise UserError(f"there is no component {', '.join(sorted(unknown))}; there are {known}")
    configs = {
        f"exec-{kubernetes_name(component_ids[label])}": config
        for label, executor in executors.items()
        if "container" in executor and (config := _executor_config(component_ids[label], settings))
    }
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": configs}}}} if configs else {}


def _executor_config(component_id: str, settings: ClusterSettings) -> Spec:
    from kfp.kubernetes import kubernetes_executor_config_pb2 as pb

    config = pb.KubernetesExecutorConfig()
    selectors = settings.node_selectors
    labels = selectors.get(component_id, selectors.get(EVERY_COMPONENT, {}))
    config.node_selector.labels.update(labels)
    for claim, mount_path in sorted(settings.volumes.items()):
        config.pvc_mount.add(constant=claim, mount_path=mount_path)
    for secret, variables in sorted(settings.secret_env.items()):
        keys = [
            pb.SecretAsEnv.SecretKeyToEnvMap(secret_key=key, env_var=variable)
            for key, variable in sorted(variables.items())
        ]
        config.secret_as_env.add(secret_name=secret, key_to_env=keys)
    result: Spec = json_format.MessageToDict(config)
    return {} if result == {"nodeSelector": {}} else result
