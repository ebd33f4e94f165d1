"""What the launcher hands over, made fit for TFX, and the way back."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils
from tfx.types import Artifact

from pipeline.kubeflow.executor_input import local_path, localize, restore_remote_uris, type_name

EXAMPLES = {"instanceSchema": "title: tfx.Examples\ntype: object\n"}
MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
INPUTS = {"artifacts": {"examples": {"artifactType": EXAMPLES}, "baseline_model": {"artifactType": MODEL}}}
OUTPUTS = {"artifacts": {"model": {"artifactType": MODEL}}}


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://bucket/a/b", "/gcs/bucket/a/b"),
        ("minio://bucket/a/b", "/minio/bucket/a/b"),
        ("s3://bucket/a/b", "/s3/bucket/a/b"),
        ("/data/a", "/data/a"),
    ],
)
def test_paths_are_the_launchers_unless_it_gives_another(uri: str, path: str) -> None:
    assert local_path({"uri": uri}) == path
    assert local_path({"uri": uri, "customPath": "/elsewhere"}) == "/elsewhere"


@pytest.fixture
def message(tmp_path: Path) -> dict[str, Any]:
    examples = {"name": "7", "uri": "minio://bucket/in", "type": {"instanceSchema": ""}, "metadata": {"span": 0.0}}
    model = {
        "uri": "minio://bucket/out/model",
        "customPath": str(tmp_path / "out"),
        "type": MODEL,
    }
    return {
        "inputs": {"artifacts": {"examples": {"artifacts": [examples]}, "baseline_model": {"artifacts": []}}},
        "outputs": {"artifacts": {"model": {"artifacts": [model]}}, "outputFile": "/tmp/output.json"},
    }


def test_inputs_get_the_type_that_the_component_declares(message: dict[str, Any]) -> None:
    localize(message, INPUTS, OUTPUTS)

    [examples] = message["inputs"]["artifacts"]["examples"]["artifacts"]
    assert examples["uri"] == "/minio/bucket/in"
    assert type_name(examples) == "Examples"


def _parsed(message: dict[str, Any]) -> list[Artifact]:
    """TFX's artifacts, inputs first."""
    parsed = json_format.ParseDict(message, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True)
    return [
        artifact
        for half in (parsed.inputs, parsed.outputs)
        for found in kubeflow_v2_entrypoint_utils.parse_raw_artifact_dict(half.artifacts).values()
        for artifact in found
    ]


def test_tfx_reads_what_localize_leaves(message: dict[str, Any]) -> None:
    localize(message, INPUTS, OUTPUTS)
    examples, _ = _parsed(message)
    assert (examples.type_name, examples.uri, examples.span) == ("Examples", "/minio/bucket/in", 0)


def test_output_folders_are_made_and_named_by_their_remote_uri_afterwards(
    message: dict[str, Any], tmp_path: Path
) -> None:
    uris = localize(message, INPUTS, OUTPUTS)
    assert (tmp_path / "out").is_dir()

    path = str(tmp_path / "out")
    metadata = {"current_model": f"{path}/Format-Serving", "blessed": 1.0, "note": f"{path}ward"}
    output = {"artifacts": {"model": {"artifacts": [{"uri": path, "metadata": metadata}]}}}
    restore_remote_uris(output, uris)

    [model] = output["artifacts"]["model"]["artifacts"]
    assert model["uri"] == "minio://bucket/out/model"
    assert model["metadata"] == {
        "current_model": "minio://bucket/out/model/Format-Serving",
        "blessed": 1.0,
        "note": f"{path}ward",
    }


def test_an_output_that_the_component_does_not_declare_is_left_to_the_launcher(
    message: dict[str, Any], tmp_path: Path
) -> None:
    """By default the driver adds one for the logs, and the launcher writes to its file while the component runs."""
    logs = tmp_path / "logs"
    logs.write_text("launched\n")
    artifact = {
        "name": "executor-logs",
        "uri": "minio://bucket/out/executor-logs-0",
        "customPath": str(logs),
        "type": {"schemaTitle": "system.Artifact"},
    }
    message["outputs"]["artifacts"]["executor-logs"] = {"artifacts": [artifact]}

    localize(message, INPUTS, OUTPUTS)

    assert set(message["outputs"]["artifacts"]) == {"model"}
    assert logs.read_text() == "launched\n"


def test_types_and_ids_do_not_depend_on_what_arrives(message: dict[str, Any]) -> None:
    """KFP's branch without ML Metadata: the title is a whole schema or KFP's own, names are output keys."""
    [examples] = message["inputs"]["artifacts"]["examples"]["artifacts"]
    examples |= {"name": "model", "type": {"schemaTitle": EXAMPLES["instanceSchema"]}}
    baseline = {"name": "model", "uri": "minio://bucket/older/model", "type": {"schemaTitle": "Artifact"}}
    message["inputs"]["artifacts"]["baseline_model"]["artifacts"].append(baseline)
    message["outputs"]["artifacts"]["model"]["artifacts"][0] |= {"name": "model", "type": {"schemaTitle": "Model"}}

    localize(message, INPUTS, OUTPUTS)

    artifacts = _parsed(message)
    assert sorted(artifact.type_name for artifact in artifacts) == ["Examples", "Model", "Model"]
    assert len({artifact.id for artifact in artifacts}) == 3
    assert type_name(examples) == "Examples"
