"""The compiled pipeline on Kubeflow Pipelines' own API server, driver and launcher, photos and models in S3.

Needs KFP_BIN, and takes some fifteen minutes on two cores.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from conftest import CLAIM, LEARNING, MODEL, SubmittedRun
from installation import ACCESS_KEY, ADDRESS, BUCKET, REGION, S3_PORT, SECRET_KEY, Installation
from s3_buckets import Buckets
from same_model import metrics_of, probabilities_of

from components.common.records import from_json
from components.contracts.serving_folder import LATEST_BLESSED_FILE, LatestBlessed
from pipeline.kubeflow.command_line import cli
from pipeline.kubeflow.submit import read_spec
from pipeline.records.explanation import explain
from pipeline.records.store import RunStore, open_store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

_PROJECT = Path(__file__).parents[2]
# Of these DriftDetector and Evaluator.test because they read what BaselineReader found anew.
RUN_ANEW = ["baseline-reader", "drift-detector", "evaluator-test", "photos-fingerprint", "pusher"]


@pytest.fixture(scope="module")
def pipeline_name(package: Path) -> str:
    return str(read_spec(package)["pipelineInfo"]["name"])


def _collected(buckets: Buckets, folder: Path) -> RunStore:
    """Reads what is in the bucket, as the documentation says."""
    copy = buckets.download(BUCKET, "flowers", folder / "copied")
    result = CliRunner().invoke(cli, ["collect", str(copy), "--output", str(folder / "collected")])
    assert result.exit_code == 0, (result.output, result.exception)
    return open_store(str(folder / "collected"))


def _latest(buckets: Buckets, pipeline_name: str, folder: Path) -> tuple[LatestBlessed, Path]:
    """Returns the pointer in the serving folder and a copy of the model that it names."""
    serving = buckets.download(BUCKET, f"flowers/serving_model/{pipeline_name}", folder / "serving")
    latest = from_json(LatestBlessed, json.loads((serving / LATEST_BLESSED_FILE).read_text()))
    return latest, serving / latest.version


@pytest.fixture(scope="module")
def local_output(tmp_path_factory: pytest.TempPathFactory, small_photos: Path, volume: Path) -> Path:
    """What a local run of the same photos left."""
    output = tmp_path_factory.mktemp("local") / "output"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in LEARNING.items()]
    command = [
        *(sys.executable, "local_runner.py", "run", "--photos", str(small_photos)),
        *("--backbone", str(volume / "backbone"), "--output", str(output), *MODEL, *options),
    ]
    done = subprocess.run(command, cwd=_PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def test_a_run_pushes_the_same_model_as_a_local_run(
    tmp_path: Path, buckets: Buckets, first_run: SubmittedRun, local_output: Path, pipeline_name: str
) -> None:
    on_kubeflow = _collected(buckets, tmp_path).run(first_run.id)
    locally = open_store(str(local_output)).find_run("latest")

    assert on_kubeflow.blessed
    assert locally.blessed
    assert on_kubeflow.class_counts == locally.class_counts
    assert metrics_of(on_kubeflow) == pytest.approx(metrics_of(locally), abs=1e-5)
    latest, model = _latest(buckets, pipeline_name, tmp_path)
    assert latest.uri == f"s3://{BUCKET}/flowers/serving_model/{pipeline_name}/{latest.version}"
    assert on_kubeflow.pushed_path == latest.uri
    assert probabilities_of(model) == pytest.approx(probabilities_of(Path(str(locally.pushed_path))), abs=1e-5)


def test_the_pushed_model_is_served_from_its_bucket(
    tmp_path: Path, small_photos: Path, first_run: SubmittedRun, pipeline_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first_run.exit_code == 0
    for name, value in {
        "S3_ENDPOINT": f"{ADDRESS}:{S3_PORT}",
        "S3_USE_HTTPS": "0",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }.items():
        monkeypatch.setenv(name, value)
    photo = next(small_photos.rglob("*.jpg"))
    model = f"s3://{BUCKET}/flowers/serving_model/{pipeline_name}"
    command = [sys.executable, "local_runner.py", "predict", str(photo), "--json", "--model", model]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], cwd=_PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [prediction] = json.loads(done.stdout)["predictions"]
    assert prediction["classes"][0]["class"] == photo.parent.name
    assert prediction["familiarity"] > 0


def test_the_run_is_followed_by_name_with_the_address_of_its_logs(first_run: SubmittedRun) -> None:
    lines = [line.split() for line in first_run.output.splitlines() if "SUCCEEDED" in line]
    assert {line[1] for line in lines} == set(first_run.executed())
    pods = {pod.name for pod in first_run.workflow.pods}
    addresses = [line[-1] for line in lines]
    assert all(any(f"podname={pod}&" in address for pod in pods) for address in addresses), addresses


def test_what_a_container_printed_is_in_the_bucket(buckets: Buckets, first_run: SubmittedRun) -> None:
    logs = [key for key in buckets.keys(BUCKET, "flowers") if "/executor-logs-" in key and first_run.id in key]
    assert len(logs) == len(first_run.executed())


def test_no_secret_is_left_anywhere(kubeflow: Installation, first_run: SubmittedRun) -> None:
    secrets = [ACCESS_KEY.encode(), SECRET_KEY.encode()]
    logs = [file for pod in first_run.workflow.pods for file in pod.folder.glob("*.log")]
    places = [*logs, *kubeflow.buckets.rglob("*"), *kubeflow.folder.glob("metadata.sqlite*")]
    for file in filter(Path.is_file, places):
        assert not any(secret in file.read_bytes() for secret in secrets), file
    kept = json.dumps([value for path, value in kubeflow.kubernetes.objects.items() if "/secrets/" not in path])
    assert not any(secret.decode() in kept for secret in secrets)


def test_a_repeated_run_is_answered_from_the_cache(
    tmp_path: Path, buckets: Buckets, package: Path, first_run: SubmittedRun, submit: Callable[..., SubmittedRun]
) -> None:
    again = submit(package)

    assert again.exit_code == 0, again.output
    assert again.executed() == RUN_ANEW
    runs = _collected(buckets, tmp_path)
    assert set(runs.run(again.id).cached_nodes) >= {"Trainer", "Transform", "FeatureExtractor", "TfdsExampleGen"}
    # Nothing reads what Evaluator.validation wrote, so that `collect` finds none of it.
    first, second = (runs.run(run.id).metrics("test") for run in (first_run, again))
    assert first
    assert second
    assert second.confusion_matrix == first.confusion_matrix
    assert second.baseline is None


def test_another_training_is_compared_with_what_was_pushed(
    tmp_path: Path, buckets: Buckets, package: Path, first_run: SubmittedRun, submit: Callable[..., SubmittedRun]
) -> None:
    other = submit(package, {**LEARNING, "batch_size": "4"})

    assert other.exit_code == 0, other.output
    assert other.executed() == sorted([*RUN_ANEW, "evaluator-validation", "trainer"])
    runs = _collected(buckets, tmp_path)
    _check_baseline(runs, first_run.id, other.id)
    drift = runs.run(other.id).drift
    assert drift
    assert drift.baseline_photos == drift.photos
    assert {shift.what: shift.moved for shift in drift.shifts}.items() >= {"labels": False, "features": False}.items()


def test_a_baseline_may_be_imported(
    tmp_path: Path,
    buckets: Buckets,
    compile_package: Callable[..., Path],
    first_run: SubmittedRun,
    submit: Callable[..., SubmittedRun],
) -> None:
    [trained] = {
        key.rpartition("/model/")[0]
        for key in buckets.keys(BUCKET, "flowers")
        if f"/{first_run.id}/trainer/" in key and "/model/" in key
    }
    run = submit(compile_package("--baseline", f"minio://{BUCKET}/{trained}/model"))

    assert run.exit_code == 0, run.output
    assert run.executed() == ["drift-detector", "evaluator-test", "photos-fingerprint", "pusher"]
    _check_baseline(_collected(buckets, tmp_path), first_run.id, run.id)


def _check_baseline(store: RunStore, first: str, later: str) -> None:
    before, after = store.run(first).metrics("test"), store.run(later).metrics("test")
    assert before
    assert before.baseline is None
    assert after
    assert after.baseline
    assert after.baseline.confusion_matrix == before.confusion_matrix
    assert after.baseline.loss == pytest.approx(before.loss, abs=1e-5)
    assert explain(store.run(later)).baseline_run == first


@pytest.fixture
def one_task(package: Path, tmp_path: Path) -> Path:
    """The pipeline without all but its first task, which is tried again after a second."""
    spec, platform = yaml.safe_load_all(package.read_text())
    tasks = spec["root"]["dag"]["tasks"]
    for name in set(tasks) - {"backbone-importer"}:
        del tasks[name]
    tasks["backbone-importer"]["retryPolicy"] |= {"backoffDuration": "1s"}
    path = tmp_path / "one_task.yaml"
    path.write_text(yaml.safe_dump_all([spec, platform]))
    return path


def test_a_failing_component_says_why_in_one_line(
    buckets: Buckets, one_task: Path, submit: Callable[..., SubmittedRun]
) -> None:
    run = submit(one_task, {"backbone": "/data/nowhere"})

    assert run.exit_code == 1
    assert "backbone-importer" in run.output
    assert "FAILED" in run.output
    assert run.executed() == ["backbone-importer"] * 3
    logs = sorted(key for key in buckets.keys(BUCKET, "flowers") if run.id in key and "/executor-logs-" in key)
    assert [key[-1] for key in logs] == ["0", "1", "2"]
    [log] = {pod.log for pod in run.workflow.pods[-1:]}
    assert "error: unknown backbone '/data/nowhere'" in log
    assert "Traceback" not in log


def test_a_component_is_tried_again(
    kubeflow: Installation, volume: Path, one_task: Path, submit: Callable[..., SubmittedRun]
) -> None:
    """The backbone is not on the volume yet when the first try looks for it."""
    late = kubeflow.node.claims[CLAIM] / "late"
    known = {pod.name for run in kubeflow.controller.runs.values() for pod in run.pods}

    def deliver() -> None:
        while not any(
            pod.exit_code for run in kubeflow.controller.runs.values() for pod in run.pods if pod.name not in known
        ):
            time.sleep(0.05)
        (volume / "backbone").rename(late)

    thread = threading.Thread(target=deliver)
    thread.start()
    run = submit(one_task, {"backbone": "/data/late"})
    thread.join()
    late.rename(volume / "backbone")

    assert run.exit_code == 0, run.output
    assert run.executed() == ["backbone-importer"] * 2
