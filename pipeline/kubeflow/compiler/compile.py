"""Compiles the pipeline to a KFP v2 pipeline spec.

TFX's KubeflowV2DagRunner does the translation. What it leaves out is added to its result: defaults of the run-time
parameters, the default pipeline root, retries, node selectors and volumes (in KFP's Kubernetes platform spec), and one
more output per component, the execution record that `pipeline.kubeflow.collect` reads.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import yaml
from tfx.dsl.components.base import base_component
from tfx.orchestration import pipeline as tfx_pipeline

from components.common.errors import UserError, refuse_credentials
from pipeline.config import NO_BASELINE, PUSHED_BASELINE, RESOLVER_BASELINE, PipelineConfig
from pipeline.graph import create_pipeline
from pipeline.kubeflow.cluster import ROOT_SCHEMES, ClusterSettings
from pipeline.kubeflow.compiler import resources
from pipeline.kubeflow.compiler.names import kubernetes_name, rename_for_kubernetes
from pipeline.kubeflow.container.execution_record import RECORD_KEY
from pipeline.kubeflow.runtime_parameters import OVERRIDE_PREFIX, RuntimeParameter, runtime_parameters

ENTRYPOINT = ["python", "-m", "pipeline.kubeflow.container.entrypoint"]
_RECORD_TYPE = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}

Spec = dict[str, Any]


def compile_pipeline(config: PipelineConfig, settings: ClusterSettings, path: Path) -> None:
    """Writes the pipeline spec and, where there is need of it, the Kubernetes platform spec, in one YAML file.

    Args:
        config: The whole configuration; its baseline is not the resolver.
        settings: The cluster.
        path: The .yaml file; replaced when it exists.

    Raises:
        UserError: The configuration cannot run on Kubeflow, or the file cannot be written.
    """
    spec, platform = build_spec(config, settings)
    documents = [spec, platform] if platform else [spec]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            yaml.safe_dump_all(documents, file, sort_keys=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another --package") from error


def build_spec(config: PipelineConfig, settings: ClusterSettings) -> tuple[Spec, Spec]:
    """Builds the pipeline spec and the platform spec.

    Args:
        config: The whole configuration; its baseline is not the resolver.
        settings: The cluster.

    Returns:
        Both as plain data; the platform spec is empty when nothing asks for it.

    Raises:
        UserError: The baseline is none that open-source KFP can bring in.
    """
    _check_baseline(config.baseline)
    pipeline = create_pipeline(_for_containers(config, settings))
    for component in pipeline.components:
        if isinstance(component, base_component.BaseComponent):
            component.with_platform_config(resources.resource_spec(settings.resources_of(component.id)))
    spec = _translate(pipeline, settings.image)
    spec["defaultPipelineRoot"] = settings.pipeline_root
    for parameter in runtime_parameters(config):
        _add_parameter(spec, parameter, parameter.default(config, settings))
    for task_id, task in spec["root"]["dag"]["tasks"].items():
        resources.set_task_options(task, settings)
        container = spec["deploymentSpec"]["executors"][f"{task_id}_executor"].get("container")
        if container:
            _add_record(spec, task_id, container)
            resources.set_container_options(container, settings)
    platform = resources.platform_spec(spec, settings)
    rename_for_kubernetes(spec)
    return spec, platform


def _check_baseline(baseline: str) -> None:
    refuse_credentials("baseline", baseline)
    if baseline == RESOLVER_BASELINE:
        raise UserError(
            "Kubeflow Pipelines runs no resolver: choose --baseline pushed, none or the folder of a Model artifact"
        )
    if baseline not in (PUSHED_BASELINE, NO_BASELINE) and not re.fullmatch(
        rf"({'|'.join(ROOT_SCHEMES)})[^/]+/.+", baseline
    ):
        raise UserError(
            f"baseline {baseline!r} is in no bucket: Kubeflow's importer brings in {', '.join(ROOT_SCHEMES)}... alone, "
            "nothing from a volume; copy the model's folder to a bucket, or choose --baseline pushed"
        )


def _for_containers(config: PipelineConfig, settings: ClusterSettings) -> PipelineConfig:
    # TFDS names a dataset's version only once; with a dataset chosen at run time nothing could be compared with it.
    data = config.data if config.data.photos else dataclasses.replace(config.data, fingerprint="")
    return dataclasses.replace(config, name=kubernetes_name(config.name), data=data, enable_cache=settings.enable_cache)


def _translate(pipeline: tfx_pipeline.Pipeline, image: str) -> Spec:
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=image, default_commands=ENTRYPOINT, use_pipeline_spec_2_1=True
        )
    )
    job: dict[str, Any] = runner.run(pipeline, write_out=False)
    spec: Spec = job["pipelineSpec"]
    return spec


def _add_parameter(spec: Spec, parameter: RuntimeParameter, default: Any) -> None:
    """Declares a run-time parameter and connects it to the tasks that use it."""
    tasks, components = spec["root"]["dag"]["tasks"], spec["components"]
    definition = {"parameterType": parameter.type, "defaultValue": default, "description": parameter.description}
    spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})[parameter.name] = definition
    inputs = {task_id: name for task_id, name in parameter.properties.items() if task_id in tasks}
    for task_id in parameter.setters:
        if task_id in tasks:
            inputs[task_id] = f"{OVERRIDE_PREFIX}{parameter.name}"
            parameters = components[task_id].setdefault("inputDefinitions", {}).setdefault("parameters", {})
            parameters[inputs[task_id]] = {"parameterType": parameter.type}
    for task_id, name in inputs.items():
        tasks[task_id]["inputs"]["parameters"][name] = {"componentInputParameter": parameter.name}


def _add_record(spec: Spec, task_id: str, container: Spec) -> None:
    outputs = spec["components"][task_id].setdefault("outputDefinitions", {}).setdefault("artifacts", {})
    outputs[RECORD_KEY] = {"artifactType": dict(_RECORD_TYPE)}
    definitions = json.dumps(spec["components"][task_id]["outputDefinitions"], sort_keys=True)
    container["args"] += ["--json_serialized_outputs_spec_args", definitions]
    container["args"] += ["--node_id", task_id, "--pipeline_name", spec["pipelineInfo"]["name"]]
