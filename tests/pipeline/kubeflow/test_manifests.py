"""The manifests that serve a pushed model, against Kubernetes' published schemas and KServe's API."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]


def _documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "deploy" / name).read_text()))


@pytest.mark.parametrize("version", ["1.29", "1.36"])
def test_tensorflow_serving_meets_the_strict_schemas(version: str) -> None:
    import kubernetes_validate

    documents = _documents("tensorflow_serving.yaml")
    assert [document["kind"] for document in documents] == ["Deployment", "Service"]
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_would_notice_a_mistake() -> None:
    import kubernetes_validate

    deployment, _ = _documents("tensorflow_serving.yaml")
    deployment["spec"]["template"]["spec"]["containers"][0]["port"] = 8500
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.29", strict=True)


def test_the_service_reaches_the_pods() -> None:
    deployment, service = _documents("tensorflow_serving.yaml")
    template = deployment["spec"]["template"]
    ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}

    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_both_serve_the_folder_that_is_pushed_to() -> None:
    from pipeline.kubeflow.compiler import kubernetes_name

    pod = _documents("tensorflow_serving.yaml")[0]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    [base_path] = [arg.split("=", 1)[1] for arg in container["args"] if arg.startswith("--model_base_path=")]
    [inference_service] = _documents("kserve.yaml")
    below_the_root = f"/serving_model/{kubernetes_name('tf_flowers')}"

    assert base_path == container["volumeMounts"][0]["mountPath"] + below_the_root
    assert inference_service["spec"]["predictor"]["model"]["storageUri"].endswith(below_the_root)
