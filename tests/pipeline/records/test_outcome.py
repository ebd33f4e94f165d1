"""What the end of a run says on the terminal."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pipeline_configs import make_config
from recorded_runs import RecordedRuns, predictions
from rich.console import Console

from components.contracts.evaluation import ThresholdResult
from pipeline.local_run.console import RunConsole
from pipeline.local_run.outcome import print_outcome
from pipeline.records.metadata import record_times
from pipeline.records.store import Run, open_store

_METRICS = {
    "test_photos": 200,
    "calibration_photos": 100,
    "original": {"accuracy": 0.93, "bytes": 18_000_000},
    "float16": {"accuracy": 0.93, "bytes": 8_060_000, "max_probability_difference": 0.001},
    "int8": {"accuracy": 0.925, "bytes": 4_610_000, "max_probability_difference": 0.1},
}


def _outcome(run: Run) -> str:
    written = io.StringIO()
    print_outcome(RunConsole(Console(file=written, soft_wrap=True, width=200)), make_config(), run)
    return written.getvalue()


def test_results_per_class_and_where_the_model_is(two_runs: RecordedRuns) -> None:
    first, second = open_store(str(two_runs.output)).runs
    said = _outcome(first)
    assert f"Blessed and pushed: {two_runs.output}/serving_model/flowers/101" in said
    (row,) = [line for line in said.splitlines() if "daisy" in line]
    assert row.count("0.941") == 2
    assert "Not blessed: test accuracy is 0.8800, below the required 0.9000; test accuracy is 0.8800, 0.0800 below" in (
        _outcome(second)
    )


def test_one_run_takes_equally_long_everywhere(runs: RecordedRuns, ask: Callable[..., Any]) -> None:
    runs.add("run-a", predictions(range(4)))
    record_times(runs.store, "run-a", time.time() - 4000)
    assert "Time:            4000 s" in _outcome(open_store(str(runs.output)).run("run-a"))
    (listed,) = ask("runs")
    assert listed["seconds"] == pytest.approx(4000, abs=1)
    assert "4000 s" in ask("runs", text=True)


def test_a_missed_bound_on_any_metric_is_a_reason(runs: RecordedRuns) -> None:
    loss = ThresholdResult("loss", "value", "upper", 0.5, passed=False, value=0.75, baseline=None)
    unseen = ThresholdResult("recall[roses]", "value", "lower", 0.5, passed=False, value=None, baseline=None)
    runs.add("run-a", predictions(range(4)), thresholds=[loss, unseen])
    assert (
        "Not blessed: test loss is 0.7500, above the allowed 0.5000; test recall[roses] was not measured: no test "
        "photo counts towards it. Nothing was pushed."
    ) in _outcome(open_store(str(runs.output)).run("run-a"))


def _exported(runs: RecordedRuns, exported: int) -> Run:
    runs.add("run-a", predictions(range(4)))
    made = runs.node("run-a", "TFLiteExporter", {}, {"tflite_model": ("flowers.TFLiteModel", {"exported": exported})})
    if exported:
        (Path(made["tflite_model"].uri) / "metrics.json").write_text(json.dumps(_METRICS))
    return open_store(str(runs.output)).run("run-a")


def test_without_an_export_nothing_is_said_of_it(runs: RecordedRuns) -> None:
    run = _exported(runs, 0)
    assert run.tflite is None
    assert "TFLite" not in _outcome(run)


def test_accuracies_and_paths_of_an_export(runs: RecordedRuns) -> None:
    lines = [line for line in _outcome(_exported(runs, 1)).splitlines() if line.startswith("TFLite")]
    folder = runs.output / "pipelines/flowers/TFLiteExporter/tflite_model/run-a"
    assert lines == [
        f"TFLite float16: accuracy 0.9300 (original 0.9300) on 200 test photos, 8.1 MB: {folder}/float16.tflite",
        f"TFLite int8:    accuracy 0.9250 (original 0.9300) on 200 test photos, 4.6 MB: {folder}/int8.tflite",
    ]
