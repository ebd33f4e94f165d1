"""Tests of the inspection commands on a real metadata store."""

import csv
import hashlib
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pytest
from filelock import FileLock
from ml_metadata.proto import metadata_store_pb2 as pb
from recorded_runs import RecordedRuns, predictions
from rich.console import Console

from components.common.errors import UsageError, UserError
from pipeline.cli import store_options
from pipeline.records.connection import sqlite_config

Ask = Callable[..., Any]


def test_runs_lists_the_latest_first_with_what_came_out(two_runs: RecordedRuns, ask: Ask) -> None:
    second, first = ask("runs")
    assert (first["run_id"], second["run_id"]) == ("run-a", "run-b")
    assert (first["state"], first["dataset"], first["backbone"]) == ("complete", "flowers", "tiny")
    assert (first["test_accuracy"], first["blessed"]) == (0.96, True)
    assert first["pushed_path"] == str(two_runs.output / "serving_model/flowers/101")
    assert (second["blessed"], second["pushed_path"], second["cached_nodes"]) == (False, None, ["TfdsExampleGen"])
    assert [run["run_id"] for run in ask("runs", "--limit", "1")] == ["run-b"]
    assert "run-a" in ask("runs", text=True)


def test_labels_lists_the_doubtful_ones(two_runs: RecordedRuns, ask: Ask, tmp_path: Path) -> None:
    review = two_runs.node("run-b", "LabelReviewer", {}, {"label_review": ("LabelReview", {})})["label_review"]
    first = {"id": "roses/1, 2.jpg", "split": "train", "label": "roses", "suggested_label": "tulips"}
    first |= {"label_probability": 0.01, "suggested_probability": 0.96}
    second = first | {"id": "x.jpg", "label_probability": 0.3}
    lines = "".join(json.dumps(entry) + "\n" for entry in (first, second))
    (Path(review.uri) / "label_review.jsonl").write_text(lines)
    summary = {"photos": {"train": 50, "test": 9}, "doubtful": {"train": 2, "test": 0}, "accuracy": 0.9}
    (Path(review.uri) / "label_review.json").write_text(json.dumps(summary))
    assert ask("labels") == [first, second]
    printed = ask("labels", "--limit", "1", text=True)
    assert "roses/1, 2.jpg" in printed
    assert "x.jpg" not in printed
    assert "Doubtful labels: 2 of 59" in printed
    ask("labels", "--to", str(tmp_path / "labels.csv"), text=True)
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["roses/1, 2.jpg", "x.jpg"]
    assert rows[0]["suggested_label"] == "tulips"


def test_labels_of_a_run_without_review_is_one_line(two_runs: RecordedRuns, ask: Ask) -> None:
    with pytest.raises(UserError, match="run-a has no review of labels"):
        ask("labels", "run-a")


def test_a_failed_run_names_the_node_and_has_no_verdict(two_runs: RecordedRuns, ask: Ask) -> None:
    examples = two_runs.start("run-c")["valid_examples"]
    two_runs.node("run-c", "Transform", {"examples": examples}, {}, state=pb.Execution.FAILED)
    run = ask("runs")[0]
    assert (run["state"], run["failed_nodes"], run["test_accuracy"]) == ("failed", ["Transform"], None)
    assert ask("why")["blessed"] is None
    assert "failed at Transform" in ask("why", text=True)


def test_an_interrupted_run_is_not_called_failed(two_runs: RecordedRuns, ask: Ask) -> None:
    examples = two_runs.start("run-c")["valid_examples"]
    two_runs.node("run-c", "Transform", {"examples": examples}, {}, state=pb.Execution.CANCELED)
    assert (ask("runs")[0]["state"], ask("runs")[0]["failed_nodes"]) == ("interrupted", [])
    assert "did not get as far as the test split" in ask("why", text=True)


def test_short_ids_fit_a_terminal_and_can_be_typed(
    runs: RecordedRuns, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ["2026-11-30T08:05:01.123456", "2026-12-01T08:05:10.123456", "2026-12-01T08:05:59.123456", "0123456789abcdef"]
    for run_id in ids:
        runs.start(run_id)
    monkeypatch.setattr(store_options, "console", lambda: Console(highlight=False, width=80))
    monkeypatch.setattr(importlib.import_module("pipeline.cli.runs"), "console", store_options.console)
    lines = ask("runs", text=True).splitlines()
    shown = [line.split()[0] for line in lines if line[:2].isdigit()]
    assert shown == ["01234567", "12-01T08:05:59", "12-01T08:05:10", "11-30T08:05"]
    for short, run_id in zip(shown, reversed(ids), strict=True):
        assert ask("why", short)["run_id"] == run_id
    assert ask("why", "08:05:59")["run_id"] == ids[2]
    assert ask("why", "2026-11")["run_id"] == ids[0]


def test_an_unfinished_run_is_running_while_it_holds_the_output(two_runs: RecordedRuns, ask: Ask) -> None:
    examples = two_runs.start("run-c")["valid_examples"]
    two_runs.node("run-c", "Transform", {"examples": examples}, {}, state=pb.Execution.RUNNING)
    with FileLock(two_runs.output / ".lock"):
        assert ask("runs")[0]["state"] == "running"
        assert "still running" in ask("why", text=True)
    assert ask("runs")[0]["state"] == "interrupted"
    assert ask("why", "run-a")["blessed"] is True


def test_why_pairs_the_photos_of_the_baseline(two_runs: RecordedRuns, ask: Ask) -> None:
    verdict = ask("why", "run-b")
    value, change = verdict["checks"]
    assert (value["bound"], value["measured"], value["passed"]) == (0.9, 0.88, False)
    assert value["gap"] == pytest.approx(-0.02)
    # 0.9 lies within the interval of 88 of 100, about 0.80 to 0.93.
    assert value["within_noise"] is True
    assert (change["baseline"], change["passed"]) == (0.96, False)
    assert change["measured"] == pytest.approx(-0.08)
    assert "paired" in change["interval"]["method"]
    assert verdict["baseline_run"] == "run-a"
    assert "within noise" in ask("why", text=True)


def test_why_calls_a_large_gap_a_real_one(runs: RecordedRuns, ask: Ask) -> None:
    runs.add("run-a", predictions(range(300), count=1000))
    runs.add("run-b", predictions(range(400), count=1000), min_accuracy=0.9)
    (check,) = ask("why")["checks"]
    assert (check["passed"], check["within_noise"]) == (False, False)
    assert "clearly below" in ask("why", text=True)
    (met,) = ask("why", "latest~1")["checks"]
    assert (met["measured"], met["passed"], met["within_noise"]) == (0.7, True, True)


def test_why_falls_back_to_independent_photos_when_the_test_photos_changed(runs: RecordedRuns, ask: Ask) -> None:
    runs.add("run-a", predictions(range(4)))
    runs.add("run-b", predictions(range(8), prefix="other"), baseline="run-a")
    _, change = ask("why")["checks"]
    assert "independent" in change["interval"]["method"]


def test_photos_that_changed_under_their_name_are_not_paired(runs: RecordedRuns, ask: Ask) -> None:
    runs.add("run-a", predictions(range(4)))
    runs.add("run-b", predictions(range(8)), baseline="run-a", edition="retouched")
    _, change = ask("why")["checks"]
    assert "independent" in change["interval"]["method"]
    assert ask("compare", "run-a")["common_photos"] == 0


def test_a_baseline_with_other_classes_is_said_to_be_none(runs: RecordedRuns, ask: Ask) -> None:
    runs.add("run-a", predictions(range(4)))
    runs.add("run-b", predictions(range(8)), ignored_baseline="run-a")
    verdict = ask("why")
    assert [check["kind"] for check in verdict["checks"]] == ["value"]
    assert verdict["baseline_run"] is None
    assert verdict["ignored_baseline_classes"] == ["cat", "dog"]
    assert "its classes are cat, dog" in ask("why", text=True)


def test_compare_shows_parameters_classes_and_changed_photos(two_runs: RecordedRuns, ask: Ask) -> None:
    comparison = ask("compare", "run-a")
    assert comparison["runs"] == ["run-a", "run-b"]
    parameters = comparison["parameters"]
    assert parameters["Trainer.custom_config.hyperparameters.epochs"] == [10, 2]
    assert parameters["Evaluator.test.threshold.accuracy.value"] == [0.7, 0.9]
    assert not any("seed" in name for name in parameters)
    assert comparison["metrics"]["test"]["accuracy"] == [0.96, 0.88]
    assert comparison["metrics"]["test"]["daisy recall"] != [None, None]
    changed = {photo["id"]: photo for photo in comparison["changed_predictions"]}
    assert comparison["common_photos"] == 100
    # Photos 0 and 1 are repaired, 4 to 13 broken, 2 and 3 wrong in both.
    assert sorted(changed) == sorted(f"photo-{i}" for i in [0, 1, *range(4, 14)])
    assert changed["photo-0"] == {"id": "photo-0", "true": "daisy", "first": "roses", "second": "daisy"}
    text = ask("compare", "run-a", "run-b", text=True)
    assert "Predictions differ for 12 of 100 test photos: 2 fixed, 10 broken, 0 wrong in both." in text


def test_compare_chooses_what_to_compare_with(two_runs: RecordedRuns, ask: Ask) -> None:
    two_runs.add("run-c", predictions(range(3)), baseline="run-a")
    assert ask("compare")["runs"] == ask("compare", "latest")["runs"] == ["run-a", "run-c"]
    assert ask("compare", "run-b")["runs"] == ["run-b", "run-c"]
    assert ask("compare", "latest", "run-b")["runs"] == ["run-c", "run-b"]
    two_runs.add("run-d", predictions(range(3)))
    assert ask("compare")["runs"] == ["run-c", "run-d"]


def test_the_first_run_has_nothing_to_be_compared_with(runs: RecordedRuns, ask: Ask) -> None:
    runs.add("run-a", predictions(range(4)))
    with pytest.raises(UsageError, match="run-a is the first of pipeline flowers: give two runs to compare"):
        ask("compare")


def test_what_executions_from_the_cache_lack_is_no_difference(runs: RecordedRuns, ask: Ask) -> None:
    for run_id, parameters in (("run-a", {"seed": 0, "span": 0}), ("run-b", {"seed": 1})):
        runs.node(run_id, "TfdsExampleGen", {}, {"examples": ("Examples", {})}, parameters)
    assert ask("compare")["parameters"] == {"TfdsExampleGen.seed": [0, 1]}


def test_lineage_leads_from_a_pushed_folder_back_to_the_data(two_runs: RecordedRuns, ask: Ask) -> None:
    graph = ask("lineage", str(two_runs.output / "serving_model/flowers/101"))
    nodes = {step["node"]: step for step in graph["executions"]}
    assert {"Pusher", "Evaluator.test", "Trainer", "FeatureExtractor", "TfdsExampleGen"} <= nodes.keys()
    assert {step["run"] for step in graph["executions"]} == {"run-a"}
    assert nodes["Trainer"]["parameters"]["custom_config.code_digest"] == "c0de"
    (dataset,) = [a for a in graph["artifacts"] if a["path"].endswith("TfdsExampleGen/examples/run-a")]
    assert dataset["properties"]["dataset_version"] == "1.0.0"
    assert {"from": nodes["TfdsExampleGen"]["id"], "to": dataset["id"], "key": "examples"} in graph["edges"]


def test_lineage_finds_a_model_that_was_pushed_to_a_bucket(two_runs: RecordedRuns, ask: Ask) -> None:
    pushed = next(
        a for a in two_runs.store.get_artifacts_by_type("PushedModel") if "pushed_destination" in a.custom_properties
    )
    uri = "s3://flowers/runs/serving_model/flowers/7"
    pushed.custom_properties["pushed_destination"].string_value = uri
    two_runs.store.put_artifacts([pushed])
    assert "Trainer" in {step["node"] for step in ask("lineage", uri)["executions"]}


def test_lineage_leads_from_a_dataset_to_every_model(two_runs: RecordedRuns, ask: Ask) -> None:
    text = ask("lineage", "flowers", text=True)
    # Both models come from one artifact: the second run took it from the cache.
    assert text.count("TfdsExampleGen") == 0
    table = text[text.index("Models built on it") :]
    assert "run-a" in table
    assert "run-b" in table
    graph = ask("lineage", "flowers")
    assert graph["direction"] == "forward"
    assert len(graph["targets"]) == 1


def test_lineage_of_a_run_is_its_models_and_leaves_the_baseline_aside(two_runs: RecordedRuns, ask: Ask) -> None:
    (model,) = ask("lineage", "run-b")["targets"]
    assert ask("show", model)["uri"].endswith("Trainer/model/run-b")
    (evaluation,) = [
        a for a in ask("artifacts", "--run", "run-b") if a["uri"].endswith("Evaluator.test/evaluation/run-b")
    ]
    text = ask("lineage", f"a{evaluation['id']}", text=True)
    assert "baseline_model: " in text
    assert text.count(" Trainer ") == 1


def test_lineage_draws_every_execution_once(two_runs: RecordedRuns, ask: Ask) -> None:
    text = ask("lineage", "latest", text=True)
    assert text.count(" Trainer ") == 1
    assert "(above)" in text


def test_a_copied_store_finds_its_files(two_runs: RecordedRuns, ask: Ask, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(two_runs.output, copy)
    shutil.rmtree(two_runs.output)
    assert ask("runs", at=copy)[1]["pushed_path"] == str(copy / "serving_model/flowers/101")
    assert len(ask("why", at=copy)["checks"]) == 2
    assert all(artifact["exists"] for artifact in ask("artifacts", at=copy))
    assert ask("lineage", str(copy / "serving_model/flowers/101"), at=copy)["targets"] == ["a10"]


def test_a_copy_answers_from_its_own_files(two_runs: RecordedRuns, ask: Ask, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(two_runs.output, copy)
    # Where it was copied from, another run takes the place.
    for file in two_runs.output.rglob("predictions.jsonl"):
        file.unlink()
    for file in two_runs.output.rglob("metrics.json"):
        file.write_text(file.read_text().replace("0.88", "0.11"))
    value, change = ask("why", at=copy)["checks"]
    assert value["measured"] == 0.88
    assert "paired" in change["interval"]["method"]
    assert ask("compare", "run-a", at=copy)["common_photos"] == 100
    assert all(Path(artifact["path"]).is_relative_to(copy) for artifact in ask("artifacts", at=copy))


@pytest.mark.parametrize("folder", ["training/out", "pipelines/flowers/out", "serving_model/datasets/out"])
def test_a_copy_is_found_whatever_the_folders_above_are_called(tmp_path: Path, ask: Ask, folder: str) -> None:
    output, copy = tmp_path / folder, tmp_path / "elsewhere" / folder
    runs = RecordedRuns(mlmd.MetadataStore(sqlite_config(output / "metadata.sqlite")), output)
    runs.add("run-a", predictions(range(4)))
    (output / "training").mkdir(exist_ok=True)
    shutil.copytree(output, copy)
    shutil.rmtree(output)
    assert len(ask("why", at=copy)["checks"]) == 1
    assert ask("runs", at=copy)[0]["pushed_path"] == str(copy / "serving_model/flowers/101")
    assert all(artifact["exists"] for artifact in ask("artifacts", at=copy))


def test_show_knows_artifacts_executions_and_nodes(two_runs: RecordedRuns, ask: Ask) -> None:
    trainer = ask("show", "Trainer")
    assert (trainer["node"], trainer["run"]) == ("Trainer", "run-b")
    assert trainer["parameters"]["custom_config"]["hyperparameters"] == {"epochs": 2}
    assert ask("show", trainer["id"]) == trainer
    model = ask("show", str(two_runs.output / "pipelines/flowers/Trainer/model/run-a/Format-Serving"))
    assert (model["type"], model["made by"].split()[1]) == ("Model", "Trainer,")
    assert ask("show", model["id"]) == model
    assert "epochs" in ask("show", "Trainer", text=True)


def test_artifacts_are_chosen_by_type_and_run(two_runs: RecordedRuns, ask: Ask) -> None:
    assert {artifact["type"] for artifact in ask("artifacts", "--type", "model")} == {"Model"}
    examples = ask("artifacts", "--type", "Examples", "--run", "run-b")
    # The dataset is the first run's, the other two are its own.
    assert sorted(artifact["run"] for artifact in examples) == ["run-a", "run-b", "run-b"]
    with pytest.raises(UserError, match="ModelEvaluation"):
        ask("artifacts", "--type", "Nonsense")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["why", "run-x"], "no run 'run-x'"),
        (["why", "run-"], "matches 2 run ids"),
        (["why", "latest~9"], "only 2 runs"),
        (["show", "3"], "use a3 or e3"),
        (["show", "e99"], "no execution 'e99'"),
        (["show", "a99"], "no artifact 'a99'"),
        (["lineage", "/nowhere"], "no artifact '/nowhere'"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(two_runs: RecordedRuns, ask: Ask, args: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        ask(*args)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_store_is_named_and_left_alone(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no metadata store"):
        ask("runs", at=tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_store_without_runs_says_so(runs: RecordedRuns, ask: Ask) -> None:
    assert ask("runs") == []
    with pytest.raises(UserError, match="no run in"):
        ask("why")
    with pytest.raises(UserError, match="no model was trained"):
        ask("lineage")
    runs.start("run-a")
    with pytest.raises(UserError, match="run-a trained no model"):
        ask("lineage", "run-a")


def test_commands_neither_import_tensorflow_nor_write(two_runs: RecordedRuns) -> None:
    database = two_runs.output / "metadata.sqlite"
    before = hashlib.sha256(database.read_bytes()).digest()
    commands = [["runs"], ["why"], ["compare", "run-a"], ["lineage"], ["artifacts"], ["show", "Trainer"]]
    code = (
        "import json, sys\n"
        "from pipeline.cli.main import cli\n"
        "for args in json.loads(sys.argv[1]):\n"
        "    cli(args, standalone_mode=False)\n"
        "heavy = [name for name in ('tensorflow', 'tfx', 'apache_beam') if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    arguments = json.dumps([[*command, "--output", str(two_runs.output), "--json"] for command in commands])
    result = subprocess.run([sys.executable, "-c", code, arguments], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert hashlib.sha256(database.read_bytes()).digest() == before
