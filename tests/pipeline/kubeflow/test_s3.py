"""What the containers' own commands do with an S3-compatible server: push, read the baseline, read photos."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp_launcher import FakeKfp, TaskFailedError
from loopback_storages import s3_client

from components.contracts.drift import SAMPLE_FILE
from components.photos.source import FINGERPRINT_DIGITS
from pipeline.config import DataConfig, PipelineConfig
from pipeline.kubeflow.cluster import ClusterSettings
from pipeline.kubeflow.compiler import build_spec

PREFIX = "serving_model/tf-flowers"
SERVING = f"s3://models/{PREFIX}"


@pytest.fixture(scope="module")
def s3(s3_server: str) -> Any:
    """A client of a loopback server with a bucket."""
    client = s3_client(s3_server)
    client.create_bucket(Bucket="models")
    return client


@pytest.fixture
def s3_environment(s3: Any) -> dict[str, str]:
    return {
        "S3_ENDPOINT": s3.meta.endpoint_url,
        "S3_USE_HTTPS": "0",
        "S3_VERIFY_SSL": "0",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }


@pytest.fixture
def run_task(s3_environment: dict[str, str], task_run: Callable[..., FakeKfp]) -> Callable[..., tuple[FakeKfp, Any]]:
    """A function that runs one task and returns its properties beside the run."""

    def run(task: str, run_id: str, **options: str) -> tuple[FakeKfp, Any]:
        kfp = task_run(task, SERVING, s3_environment, run_id=run_id, **options)
        kfp.run()
        record = kfp.blob(kfp.outputs[task]["execution_record"]["uri"]) / "execution.json"
        outputs = json.loads(record.read_text())["outputs"]
        [artifact] = outputs["pushed_model" if task == "pusher" else "model"]
        return kfp, artifact["properties"]

    return run


def _content(s3: Any) -> dict[str, bytes]:
    entries = s3.list_objects_v2(Bucket="models").get("Contents", [])
    keys = [entry["Key"] for entry in entries if not entry["Key"].endswith("/")]
    return {key: s3.get_object(Bucket="models", Key=key)["Body"].read() for key in keys}


@pytest.mark.slow
def test_a_model_is_pushed_to_s3_and_is_the_baseline_of_the_next_run(
    s3: Any, run_task: Callable[..., tuple[FakeKfp, Any]]
) -> None:
    _, baseline = run_task("baseline-reader", "1")
    assert baseline["baseline_version"] == "none"

    _, pushed = run_task("pusher", "2", weights="good")

    version = pushed["pushed_version"]
    assert pushed["pushed_destination"] == f"{SERVING}/{version}"
    content = _content(s3)
    pointer = json.loads(content.pop(f"{PREFIX}/latest_blessed.json"))
    assert (pointer["version"], pointer["uri"]) == (version, f"{SERVING}/{version}")
    assert content == {
        f"{PREFIX}/{version}/saved_model.pb": b"content",
        f"{PREFIX}/{version}/variables/variables.index": b"good",
        f"{PREFIX}/photos/{version}.npz": b"photos of good",
    }
    kfp, baseline = run_task("baseline-reader", "3")
    assert baseline["baseline_version"] == version
    model = kfp.blob(kfp.outputs["baseline-reader"]["model"]["uri"])
    assert (model / "Format-Serving" / "variables" / "variables.index").read_text() == "good"
    assert (model / SAMPLE_FILE).read_text() == "photos of good"


@pytest.mark.slow
def test_of_two_runs_at_once_the_later_push_to_s3_fails(s3: Any, run_task: Callable[..., tuple[FakeKfp, Any]]) -> None:
    run_task("pusher", "4", weights="earlier", baseline_version=_version(s3))
    before = _content(s3)

    with pytest.raises(
        TaskFailedError, match=rf"since then version {_version(s3)} .* was pushed in {SERVING}: nothing"
    ):
        run_task("pusher", "5", weights="later", baseline_version="none")

    assert _content(s3) == before


def _version(s3: Any) -> str:
    pointer = _content(s3).get(f"{PREFIX}/latest_blessed.json")
    return str(json.loads(pointer)["version"]) if pointer else "none"


@pytest.mark.slow
def test_photos_are_read_from_s3(
    s3: Any,
    s3_environment: dict[str, str],
    container_config: PipelineConfig,
    settings: ClusterSettings,
    photo_folder: Path,
) -> None:
    folder = photo_folder.parent
    for file in photo_folder.rglob("*.jpg"):
        s3.upload_file(str(file), "models", f"my photos/{file.relative_to(photo_folder)}")
    data = DataConfig(
        class_names=("blue", "green", "red"), fingerprint="", photos="s3://models/my photos", fingerprint_per_run=True,
        data_dir=str(folder / "datasets"),
    )  # fmt: skip
    spec, _ = build_spec(dataclasses.replace(container_config, data=data), dataclasses.replace(settings, env={}))
    tasks = spec["root"]["dag"]["tasks"]
    for name in set(tasks) - {"photos-fingerprint", "tfds-example-gen"}:
        del tasks[name]
    kfp = FakeKfp(spec, folder / "kfp", environment=s3_environment)

    kfp.run()

    metadata = kfp.outputs["tfds-example-gen"]["examples"]["metadata"]
    fingerprint = kfp.output_parameters["photos-fingerprint"]["fingerprint"]
    assert metadata["dataset_version"] == fingerprint[:FINGERPRINT_DIGITS], "both containers see the same photos"
    counts = json.loads(metadata["class_counts"])
    assert {name: sum(split[name] for split in counts.values()) for name in data.class_names} == {
        "blue": 20, "green": 20, "red": 20,
    }  # fmt: skip
