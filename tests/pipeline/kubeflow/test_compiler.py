"""The compiled spec: what KFP's SDK and protos make of it, its parameters, resources and names."""

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.common.errors import UserError
from components.modeling.hyperparameters import FineTuning
from pipeline.config import NO_BASELINE, RESOLVER_BASELINE
from pipeline.kubeflow.cluster import ClusterSettings, Resources
from pipeline.kubeflow.compiler import build_spec

GOLDEN = Path(__file__).parents[2] / "golden" / "kubeflow_pipeline.yaml"
# Argo's names of templates and Kubernetes' names of pods.
KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@pytest.fixture(scope="module")
def documents(compiled: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(compiled.read_text()))


@pytest.fixture(scope="module")
def spec(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return documents[0]


def test_kfp_sdk_loads_the_pipeline(compiled: Path) -> None:
    from kfp import components

    component = components.load_component_from_file(str(compiled))

    inputs = component.component_spec.inputs
    assert component.name == "tf-flowers"
    assert (inputs["epochs"].type, inputs["epochs"].default) == ("Integer", 10)
    assert component.platform_spec.platforms["kubernetes"]


def test_protos_know_every_field(documents: list[dict[str, Any]]) -> None:
    from google.protobuf import json_format
    from kfp.kubernetes import kubernetes_executor_config_pb2
    from kfp.pipeline_spec import pipeline_spec_pb2

    spec, platform = documents
    deployment = json_format.ParseDict(spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    configs = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    assert set(configs) <= set(deployment.executors)
    for config in configs.values():
        json_format.ParseDict(config, kubernetes_executor_config_pb2.KubernetesExecutorConfig())


def test_golden_file(documents: list[dict[str, Any]]) -> None:
    """Images, entry point, parameters, resources, retries, caching, volumes, node selectors.

    FLOWERS_UPDATE_GOLDEN=1 writes the file anew; look at what changed before it is committed.
    """
    text = _normalized(documents)
    if os.environ.get("FLOWERS_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def _normalized(documents: list[dict[str, Any]]) -> str:
    text = yaml.safe_dump_all(documents, sort_keys=True, width=10_000)
    text = re.sub(r"tfx-[\d.]+", "tfx-VERSION", text)
    # Digests of the components' code change with every edit.
    text = re.sub(r'code_digest\\?": \\?"[0-9a-f]{16}', lambda match: match[0][:-16] + "DIGEST", text)
    return re.sub(r"(code_digest:\n\s+runtimeValue:\n\s+constant: ).*", r"\1DIGEST", text)


def test_names_are_kubernetes_names(spec: dict[str, Any]) -> None:
    tasks = spec["root"]["dag"]["tasks"]
    names = [*tasks, *spec["components"], *spec["deploymentSpec"]["executors"]]

    assert [name for name in names if not KUBERNETES_NAME.fullmatch(name)] == []
    for name, task in tasks.items():
        assert task["taskInfo"]["name"] == name
        assert spec["components"][task["componentRef"]["name"]]["executorLabel"] in spec["deploymentSpec"]["executors"]
        assert set(task.get("dependentTasks", [])) <= set(tasks)


def test_every_runtime_parameter_reaches_a_task(spec: dict[str, Any]) -> None:
    used = {
        value["componentInputParameter"]
        for task in spec["root"]["dag"]["tasks"].values()
        for value in task["inputs"].get("parameters", {}).values()
        if "componentInputParameter" in value
    }
    assert used == set(spec["root"]["inputDefinitions"]["parameters"])


def test_the_baseline_is_the_model_that_was_pushed_last(spec: dict[str, Any]) -> None:
    tasks = spec["root"]["dag"]["tasks"]

    folder = tasks["baseline-reader"]["inputs"]["parameters"]["serving_model_dir"]
    assert folder == {"componentInputParameter": "serving_model_dir"}
    # It is asked when the model is there: other runs push meanwhile.
    candidate = tasks["baseline-reader"]["inputs"]["artifacts"]["candidate"]["taskOutputArtifact"]
    assert candidate == {"producerTask": "trainer", "outputArtifactKey": "model"}
    for reader in ("evaluator-test", "pusher"):
        baseline = tasks[reader]["inputs"]["artifacts"]["baseline_model"]["taskOutputArtifact"]
        assert baseline == {"producerTask": "baseline-reader", "outputArtifactKey": "model"}
        assert "baseline-reader" in tasks[reader]["dependentTasks"]


def test_without_a_baseline_nothing_is_read(with_baseline: Any, settings: ClusterSettings) -> None:
    spec, _ = build_spec(with_baseline(NO_BASELINE), settings)

    tasks = spec["root"]["dag"]["tasks"]
    assert "baseline-reader" not in tasks
    assert not any("baseline_model" in task["inputs"].get("artifacts", {}) for task in tasks.values())


def test_the_resolver_is_refused(with_baseline: Any, settings: ClusterSettings) -> None:
    with pytest.raises(UserError, match="does not run resolvers"):
        build_spec(with_baseline(RESOLVER_BASELINE), settings)


def test_a_given_baseline_becomes_an_importer(with_baseline: Any, settings: ClusterSettings) -> None:
    spec, _ = build_spec(with_baseline("gs://bucket/models/12"), settings)

    importer = spec["deploymentSpec"]["executors"]["exec-baseline-model"]["importer"]
    tasks = spec["root"]["dag"]["tasks"]
    baseline = tasks["evaluator-test"]["inputs"]["artifacts"]["baseline_model"]
    assert "baseline_model" not in tasks["pusher"]["inputs"]["artifacts"]
    assert importer["artifactUri"] == {"constant": "gs://bucket/models/12"}
    assert baseline["taskOutputArtifact"]["producerTask"] == "baseline-model"


@pytest.mark.parametrize("baseline", ["/models/serving_model/12", "models/12", "hdfs://host/models/12", "minio://"])
def test_a_baseline_that_the_importer_cannot_use_is_refused(
    baseline: str, with_baseline: Any, settings: ClusterSettings
) -> None:
    with pytest.raises(UserError, match=f"baseline '{baseline}' is not in a bucket") as error:
        build_spec(with_baseline(baseline), settings)
    assert len(str(error.value).splitlines()) == 1


def test_an_unknown_component_is_named(container_config: Any) -> None:
    settings = ClusterSettings("image", "gs://bucket", "gs://bucket/serving", resources={"Trainr": Resources()})
    with pytest.raises(UserError, match="no component Trainr; use one of AnomalyGate"):
        build_spec(container_config, settings)


@pytest.mark.parametrize("root", ["/data/flowers", "hdfs://host/flowers", "file:///data"])
def test_a_root_that_the_launcher_cannot_use_is_refused(root: str) -> None:
    with pytest.raises(UserError, match="pipeline root"):
        ClusterSettings("image", root, "gs://bucket/serving")


def test_resources_are_read_from_text() -> None:
    parsed = Resources.parse("cpu=2,memory=512Mi,gpu=1,gpu_type=amd.com/gpu", Resources(memory_limit=4))

    assert (parsed.cpu, parsed.gpu, parsed.gpu_type, parsed.memory_limit) == (2.0, 1, "amd.com/gpu", 4)
    assert parsed.memory == pytest.approx(0.536870912)
    for text in ("cpu=two", "memory=4", "disk=1G", "cpu", "gpu=-1"):
        with pytest.raises(UserError):
            Resources.parse(text, Resources())


def test_fine_tuning_and_tuning_compile(container_config: Any, settings: ClusterSettings) -> None:
    spec, _ = build_spec(dataclasses.replace(container_config, tuning_trials=2, fine_tuning=FineTuning()), settings)

    tasks = spec["root"]["dag"]["tasks"]
    assert {"tuner", "trainer", "trainer-fine-tuning"} <= set(tasks)
    config = json.loads(
        tasks["trainer-fine-tuning"]["inputs"]["parameters"]["custom_config"]["runtimeValue"]["constant"]
    )
    assert config["fine_tuning"]["epochs"] == FineTuning().epochs
