"""Pushing to an S3-compatible server, with the container's own command."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow.compile import build_spec
from pipeline.kubeflow.settings import ClusterSettings

SERVING = "s3://models/serving_model/tf-flowers"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of a loopback server with one bucket."""
    pytest.importorskip("boto3", reason="the s3 extra is not installed")
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="models")
    yield client
    server.stop()


def _executor_input(spec: dict[str, Any], tmp_path: Path) -> str:
    """The Pusher's input: a model and its blessing, as the launcher has copied them."""
    (tmp_path / "model" / "Format-Serving" / "variables").mkdir(parents=True)
    (tmp_path / "model" / "Format-Serving" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "model" / "Format-Serving" / "variables" / "variables.index").write_bytes(b"weights")
    (tmp_path / "blessing").mkdir()
    (tmp_path / "blessing" / "BLESSED").touch()
    inputs = {"model": {}, "model_blessing": {"blessed": 1.0}}
    folders = {"model": "model", "model_blessing": "blessing"}
    outputs = spec["components"]["comp-pusher"]["outputDefinitions"]["artifacts"]
    parameters = spec["root"]["dag"]["tasks"]["pusher"]["inputs"]["parameters"]
    values = {name: value["runtimeValue"]["constant"] for name, value in parameters.items() if "runtimeValue" in value}
    return json.dumps(
        {
            "inputs": {
                "artifacts": {
                    key: {"artifacts": [_artifact(key, tmp_path / folders[key], {"instanceSchema": ""}, metadata)]}
                    for key, metadata in inputs.items()
                },
                "parameterValues": {**values, "override_serving_model_dir": SERVING},
            },
            "outputs": {
                "artifacts": {
                    key: {"artifacts": [_artifact(key, tmp_path / key, definition["artifactType"], {})]}
                    for key, definition in outputs.items()
                },
                "outputFile": str(tmp_path / "output.json"),
            },
        }
    )


def _artifact(key: str, path: Path, kind: dict[str, str], metadata: dict[str, float]) -> dict[str, Any]:
    uri = f"minio://mlpipeline/run/{key}"
    return {"name": key, "uri": uri, "customPath": str(path), "type": kind, "metadata": metadata}


def test_a_blessed_model_is_pushed_to_s3(
    s3: Any, container_config: Any, settings: ClusterSettings, tmp_path: Path
) -> None:
    spec, _ = build_spec(container_config, settings)
    container = spec["deploymentSpec"]["executors"]["exec-pusher"]["container"]
    text = _executor_input(spec, tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "S3_ENDPOINT": s3.meta.endpoint_url,
        "S3_USE_HTTPS": "0",
        "S3_VERIFY_SSL": "0",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    command = [part.replace("{{$}}", text) for part in (*container["command"][1:], *container["args"])]

    process = subprocess.run(
        [sys.executable, *command], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert process.returncode == 0, process.stderr[-3000:]
    record = json.loads((tmp_path / "execution_record" / "execution.json").read_text())
    [pushed] = record["outputs"]["pushed_model"]
    version = pushed["properties"]["pushed_version"]
    assert pushed["properties"]["pushed_destination"] == f"{SERVING}/{version}"
    keys = {entry["Key"] for entry in s3.list_objects_v2(Bucket="models")["Contents"] if not entry["Key"].endswith("/")}
    prefix = f"serving_model/tf-flowers/{version}"
    assert keys == {f"{prefix}/saved_model.pb", f"{prefix}/variables/variables.index"}
