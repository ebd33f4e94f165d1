"""Tests of how the TFLite export is asked for, wired and reported."""

import dataclasses
import io
import json
from pathlib import Path

from rich.console import Console

from components.modeling.hyperparameters import FineTuning
from pipeline.config import BackboneConfig, DataConfig, PipelineConfig
from pipeline.graph import create_pipeline
from pipeline.history.records import ArtifactRecord, ExecutionRecord
from pipeline.history.summary import RunSummary, tflite_export
from pipeline.local_run.console import RunConsole
from pipeline.local_run.outcome import print_outcome

_CONFIG = PipelineConfig(
    name="flowers",
    output="/tmp/flowers",
    data=DataConfig(class_names=("daisy", "roses"), fingerprint="1", dataset="synthetic_flowers"),
    backbone=BackboneConfig("efficientnet_lite0", (224, 224), "d1"),
    fine_tuning=FineTuning(),
)
_METRICS = {
    "test_photos": 200,
    "original": {"accuracy": 0.93, "bytes": 18_000_000},
    "float16": {"accuracy": 0.93, "bytes": 8_060_000},
    "int8": {"accuracy": 0.925, "bytes": 4_610_000},
}


def test_it_is_the_last_node_and_converts_what_is_pushed() -> None:
    assert "TFLiteExporter" not in {component.id for component in create_pipeline(_CONFIG).components}
    components = create_pipeline(dataclasses.replace(_CONFIG, export_tflite=True)).components
    exporter = components[-1]
    producers = {key: channel.producer_component_id for key, channel in exporter.inputs.items()}
    assert producers == {
        "model": "Trainer.fine_tuning",
        "model_blessing": "Evaluator.test",
        "examples": "ImageValidator",
        "transform_graph": "Transform",
    }


def _executions(folder: Path, exported: int) -> dict[str, ExecutionRecord]:
    artifact = ArtifactRecord(1, "flowers.TFLiteModel", str(folder), {"exported": exported})
    return {
        "TFLiteExporter": ExecutionRecord(1, "TFLiteExporter", "COMPLETE", 0, 1, {}, {}, {"tflite_model": [artifact]})
    }


def test_only_an_export_is_summarized(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(_METRICS))
    assert tflite_export(_executions(tmp_path, 1)) == {"path": str(tmp_path), **_METRICS}
    assert tflite_export(_executions(tmp_path, 0)) is None
    assert tflite_export({}) is None


def test_the_end_of_a_run_tells_accuracies_and_paths() -> None:
    metrics = {"accuracy": 0.9, "classes": [{"recall": 0.9}]}
    counts = {split: {"daisy": 3} for split in ("train", "validation", "test")}
    summary = RunSummary("run", ["daisy"], counts, metrics, metrics, True, "/pushed", tflite={"path": "/x", **_METRICS})
    written = io.StringIO()
    print_outcome(RunConsole(Console(file=written, soft_wrap=True)), _CONFIG, summary, 1.0)
    lines = [line for line in written.getvalue().splitlines() if line.startswith("TFLite")]
    assert lines == [
        "TFLite float16: accuracy 0.9300 (original 0.9300) on 200 test photos, 8.1 MB: /x/float16.tflite",
        "TFLite int8:    accuracy 0.9250 (original 0.9300) on 200 test photos, 4.6 MB: /x/int8.tflite",
    ]
