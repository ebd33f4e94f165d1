"""Pushing to an S3-compatible server, with the container's own command."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kfp_launcher import FakeKfp

SERVING = "s3://models/serving_model/tf-flowers"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of a loopback server with one bucket."""
    pytest.importorskip("tensorflow_io", reason="the s3 extra is not installed")
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


def test_a_blessed_model_is_pushed_to_s3(s3: Any, pusher_run: Callable[..., FakeKfp]) -> None:
    kfp = pusher_run(
        SERVING,
        {
            "S3_ENDPOINT": s3.meta.endpoint_url,
            "S3_USE_HTTPS": "0",
            "S3_VERIFY_SSL": "0",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        },
    )
    kfp.run()

    record = kfp.blob(kfp.outputs["pusher"]["execution_record"]["uri"]) / "execution.json"
    [pushed] = json.loads(record.read_text())["outputs"]["pushed_model"]
    version = pushed["properties"]["pushed_version"]
    assert pushed["properties"]["pushed_destination"] == f"{SERVING}/{version}"
    keys = {entry["Key"] for entry in s3.list_objects_v2(Bucket="models")["Contents"] if not entry["Key"].endswith("/")}
    prefix = f"serving_model/tf-flowers/{version}"
    assert keys == {f"{prefix}/saved_model.pb", f"{prefix}/variables/variables.index"}
