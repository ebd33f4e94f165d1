"""`kubeflow_runner.py compile`, without network."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from components.common.errors import UserError
from pipeline.kubeflow.command_line import cli

REQUIRED = ("--image", "registry.example.org/flowers:1", "--pipeline-root", "minio://mlpipeline/flowers/")


def _compile(package: Path, *options: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(cli, ["compile", *REQUIRED, "--package", str(package), *options])
    if result.exception:
        raise result.exception
    assert f"Wrote {package}" in result.output
    return list(yaml.safe_load_all(package.read_text()))


def test_the_reference_recipe_needs_neither_its_data_nor_its_backbone(tmp_path: Path) -> None:
    [spec] = _compile(tmp_path / "new" / "pipeline.yaml", "--preset", "tf_flowers", "--epochs", "3")

    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert spec["pipelineInfo"]["name"] == "tf-flowers"
    assert spec["defaultPipelineRoot"] == "minio://mlpipeline/flowers"
    assert (parameters["backbone"]["defaultValue"], parameters["image_size"]["defaultValue"]) == (
        "inception_v3",
        "[299, 299]",
    )
    assert parameters["epochs"]["defaultValue"] == 3
    assert parameters["serving_model_dir"]["defaultValue"] == "s3://mlpipeline/flowers/serving_model/tf-flowers"
    example_gen = spec["root"]["dag"]["tasks"]["tfds-example-gen"]["inputs"]["parameters"]
    assert example_gen["data_dir"]["runtimeValue"]["constant"] == "/tmp/flowers/datasets"


def test_own_photos_are_looked_at_here_and_read_there(tmp_path: Path, photo_folder: Path) -> None:
    options = ("--photos", str(photo_folder), "--photos-path", "/data/photos", "--volume", "claim:/data")
    options += ("--bless", "recall[red]>=0.5")
    spec, platform = _compile(tmp_path / "pipeline.yaml", *options, "--work-root", "/data/work", "--split", "80/10/10")

    parameters = spec["root"]["inputDefinitions"]["parameters"]
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert parameters["photos"]["defaultValue"] == "/data/photos"
    assert parameters["photos_fingerprint"]["defaultValue"]
    assert executors["exec-pusher"]["pvcMount"] == [{"constant": "claim", "mountPath": "/data"}]
    example_gen = spec["root"]["dag"]["tasks"]["tfds-example-gen"]["inputs"]["parameters"]
    assert example_gen["split_fractions"]["runtimeValue"]["constant"] == "[0.8, 0.1, 0.1]"
    trainer = spec["root"]["dag"]["tasks"]["trainer"]["inputs"]["parameters"]["custom_config"]["runtimeValue"]
    assert '"work_root": "/data/work/training/' in trainer["constant"]
    # Not its label: a run may have other photos.
    evaluator = spec["root"]["dag"]["tasks"]["evaluator-test"]["inputs"]["parameters"]
    assert '"label": "red"' in evaluator["eval_config"]["runtimeValue"]["constant"]


def test_each_run_looks_at_the_photos(tmp_path: Path, photo_folder: Path) -> None:
    options = ("--photos", str(photo_folder), "--photos-path", "/data/photos")
    [spec] = _compile(tmp_path / "pipeline.yaml", *options)

    tasks = spec["root"]["dag"]["tasks"]
    looked, read = (tasks[name]["inputs"]["parameters"] for name in ("photos-fingerprint", "tfds-example-gen"))
    assert looked["photos"] == read["photos"] == {"componentInputParameter": "photos"}
    assert looked["expected"] == {"componentInputParameter": "photos_fingerprint"}
    assert read["fingerprint"]["taskOutputParameter"] == {
        "producerTask": "photos-fingerprint",
        "outputParameterKey": "fingerprint",
    }
    assert tasks["tfds-example-gen"]["dependentTasks"] == ["photos-fingerprint"]
    # The same photos, and what comes of them, may be answered from the cache: the look at them may not.
    assert tasks["photos-fingerprint"]["cachingOptions"] == {}
    assert tasks["tfds-example-gen"]["cachingOptions"] == {"enableCache": True}
    outputs = spec["components"]["comp-photos-fingerprint"]["outputDefinitions"]["parameters"]
    assert outputs == {"fingerprint": {"parameterType": "STRING"}}


def test_a_manifest_is_looked_at_here_and_read_there(tmp_path: Path, photo_folder: Path) -> None:
    manifest = tmp_path / "labels.csv"
    photos = [f"{photo.relative_to(tmp_path)},{photo.parent.name}" for photo in photo_folder.rglob("*.jpg")]
    manifest.write_text("\n".join(["path,label", *photos]))
    options = ("--photos", str(manifest), "--photos-path", "/data/labels.csv")
    [spec] = _compile(tmp_path / "pipeline.yaml", *options)
    assert spec["root"]["inputDefinitions"]["parameters"]["photos"]["defaultValue"] == "/data/labels.csv"
    with pytest.raises(UserError, match=r"--photos-path /data/photos and .*labels\.csv must be of one kind"):
        _compile(tmp_path / "pipeline.yaml", "--photos", str(manifest), "--photos-path", "/data/photos")


@pytest.mark.parametrize(("path", "is_pinned"), [("/data/photos", True), ("s3://flowers/photos", False)])
def test_photos_in_a_bucket_may_change(tmp_path: Path, photo_folder: Path, path: str, is_pinned: bool) -> None:
    [spec] = _compile(tmp_path / "pipeline.yaml", "--photos", str(photo_folder), "--photos-path", path)
    assert bool(spec["root"]["inputDefinitions"]["parameters"]["photos_fingerprint"]["defaultValue"]) == is_pinned


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--backbone", "https://example.org/module"), "add --image-size HxW"),
        (("--backbone", "efficientnet_lite1", "--image-size", "96x96"), "128 to 384 pixels a side, not 96x96"),
        (("--resources", "Trainer"), "cannot read 'Trainer'; use COMPONENT:NAME=VALUE"),
        (("--resources", "Trainer:cpu=many"), "cpu is 'many'; use a number"),
        (("--volume", "claim"), "use CLAIM:PATH"),
        (("--epochs", "0"), "epochs is 0"),
        (("--bless", "recall[rose]>=0.5"), "class rose, which .*did you mean roses"),
        (("--serving-model-dir", "minio://models"), "TensorFlow addresses MinIO as s3://"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        _compile(tmp_path / "pipeline.yaml", *options)
    assert len(str(error.value).splitlines()) == 1


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kfp.kubernetes", None)
    with pytest.raises(UserError, match="compile needs the kubeflow extra"):
        _compile(tmp_path / "pipeline.yaml")
