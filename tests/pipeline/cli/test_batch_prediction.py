"""`predict --input ... --to ...` on real Beam: the answers of `predict`, in files; restarts; buckets."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from components.common.errors import UserError
from components.storage.objects import delete_object, is_object, list_objects, read_object, write_object
from pipeline.cli.main import cli


@pytest.fixture(autouse=True)
def no_handler_is_left() -> Iterator[None]:
    """The command owns its process, and so whatever its loggers write to."""
    yield
    for name in ("components", "pipeline", ""):
        logging.getLogger(name).handlers.clear()


def _predict(*args: str | Path, output: Path) -> Result:
    result = CliRunner().invoke(cli, ["predict", *map(str, args), "--output", str(output)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def _batch(source: str | Path, target: str | Path, *args: str | Path, output: Path) -> Result:
    return _predict("--input", source, "--to", target, *args, output=output)


def _rows(target: Path) -> dict[str, dict[str, Any]]:
    """Returns rows by URI; each photo has one."""
    rows = [row for file in sorted(target.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    rows += [json.loads(line) for file in sorted(target.glob("p*.jsonl")) for line in file.read_text().splitlines()]
    by_uri = {row["uri"]: {**row, "probabilities": dict(row["probabilities"])} for row in rows}
    assert len(by_uri) == len(rows)
    return by_uri


def _unreadable(target: Path) -> dict[str, str]:
    lines = (target / "_unreadable.jsonl").read_text().splitlines()
    return {row["uri"]: row["reason"] for row in map(json.loads, lines)}


def _answers(photos: Path, output: Path) -> dict[str, dict[str, float]]:
    """Returns what `predict` itself answers: probabilities by class, by photo."""
    printed = json.loads(_predict(photos, "--json", "--top", "9", output=output).stdout)["predictions"]
    return {
        answer["photo"]: {entry["class"]: entry["probability"] for entry in answer["classes"]}
        for answer in printed
        if "classes" in answer
    }


def _assert_same(rows: dict[str, dict[str, Any]], answers: dict[str, dict[str, float]]) -> None:
    assert set(rows) == set(answers)
    for uri, row in rows.items():
        assert row["probabilities"] == pytest.approx(answers[uri], abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].__getitem__)
        assert row["probability"] == max(row["probabilities"].values())


@pytest.fixture
def mixed_folder(photo_folder: Path) -> Path:
    """The photos, two that are none, and what is no photo by its name."""
    (photo_folder / "red" / "text.jpg").write_text("no photo")
    (photo_folder / "red" / "half.jpg").write_bytes((photo_folder / "red" / "red 00.jpg").read_bytes()[:200])
    (photo_folder / "notes.txt").write_text("no photo")
    (photo_folder / ".hidden.jpg").write_text("no photo")
    return photo_folder


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_answers_are_those_of_predict(pushed_output: Path, mixed_folder: Path, tmp_path: Path, form: str) -> None:
    target = tmp_path / "answers"
    result = _batch(mixed_folder, target, "--format", form, "--photos-per-file", "25", output=pushed_output)
    assert result.exit_code == 1, result.output
    assert sorted(path.name for path in target.glob("predictions*")) == [
        f"predictions-0000{shard}-of-00003.{form}" for shard in range(3)
    ]
    _assert_same(_rows(target), _answers(mixed_folder, pushed_output))
    reasons = _unreadable(target)
    assert {Path(uri).name for uri in reasons} == {"text.jpg", "half.jpg"}
    assert any("not_an_image" in reason for reason in reasons.values())
    assert f"2 files are not used: 1 .txt, 1 hidden; {target}/_not_used.jsonl lists them" in result.output
    unused = [json.loads(line) for line in (target / "_not_used.jsonl").read_text().splitlines()]
    assert {Path(row["uri"]).name: row["reason"] for row in unused} == {".hidden.jpg": "hidden", "notes.txt": ".txt"}
    assert "(60 photos)" in result.output
    assert "(2 photos)" in result.output
    assert "Classifying photos" in result.output


def test_readers_of_folders_see_the_predictions_alone(pushed_output: Path, mixed_folder: Path, tmp_path: Path) -> None:
    import pyarrow.dataset as ds

    _batch(mixed_folder, tmp_path / "answers", output=pushed_output)
    table = ds.dataset(tmp_path / "answers", format="parquet").to_table()
    assert table.num_rows == 60
    types = {field.name: str(field.type) for field in table.schema}
    expected = {"uri": "string", "label": "string", "probability": "float"}
    expected |= {"familiarity": "float", "unfamiliar": "bool"}
    assert types == expected | {"probabilities": types["probabilities"]}
    assert types["probabilities"].startswith("map<string, float")


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_unfamiliar_photos_are_marked_in_files(
    pushed_output: Path, familiar_model: Path, photo_folder: Path, tmp_path: Path, form: str
) -> None:
    for model, marks in (
        (familiar_model, {(0.5, False), (0.0, True)}),
        (pushed_output / "serving_model/flowers", {(None, None)}),
    ):
        target = tmp_path / model.name
        _batch(photo_folder, target, "--format", form, "--model", model, output=pushed_output)
        assert {(row["familiarity"], row["unfamiliar"]) for row in _rows(target).values()} == marks


def test_finished_files_are_not_computed_again(pushed_output: Path, photo_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "answers"
    _batch(photo_folder, target, "--photos-per-file", "20", output=pushed_output)
    whole = _rows(target)
    kept, lost, damaged = sorted(target.glob("*.parquet"))
    lost.unlink()
    damaged.unlink()
    (photo_folder / "red" / "later.jpg").write_bytes((photo_folder / "red" / "red 00.jpg").read_bytes())
    before = kept.stat().st_mtime_ns
    result = _batch(photo_folder, target, output=pushed_output)
    assert "1 of 3 files already exist" in result.output
    assert kept.stat().st_mtime_ns == before
    assert _rows(target) == whole, "the plan is that of the first start"


def test_a_killed_start_is_gone_on_with(pushed_output: Path, photo_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "answers"
    command = [
        sys.executable, "-m", "local_runner", "predict", "--input", photo_folder, "--to", target,
        "--photos-per-file", "1", "--output", pushed_output,
    ]  # fmt: skip
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(target.glob("*.parquet"))) < 3:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in target.glob("*.parquet")}
    assert 3 <= len(finished) < 60
    result = _batch(photo_folder, target, output=pushed_output)
    assert f"{len(finished)} of 60 files already exist" in result.output
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    _assert_same(_rows(target), _answers(photo_folder, pushed_output))
    assert not list(target.rglob("*.tmp"))


def test_worker_processes_give_the_same_answers(pushed_output: Path, mixed_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "answers"
    workers = ["--beam-runner", "multi_processing", "--beam-workers", "2"]
    result = _batch(mixed_folder, target, "--photos-per-file", "10", *workers, output=pushed_output)
    assert result.exit_code == 1, result.output
    _assert_same(_rows(target), _answers(mixed_folder, pushed_output))
    assert len(_unreadable(target)) == 2


def test_globs_and_manifests(pushed_output: Path, photo_folder: Path, tmp_path: Path) -> None:
    _batch(photo_folder / "*" / "* 0?.jpg", tmp_path / "a", output=pushed_output)
    assert len(_rows(tmp_path / "a")) == 30
    manifest = photo_folder / "some.csv"
    manifest.write_text("filename,taken\nred/red 00.jpg,2024\nred/red 00.jpg,2024\nnone.jpg,2023\n")
    _batch(manifest, tmp_path / "b", output=pushed_output)
    assert list(_rows(tmp_path / "b")) == [str(photo_folder / "red/red 00.jpg")]
    assert _unreadable(tmp_path / "b") == {str(photo_folder / "none.jpg"): "No such file or directory"}


def test_from_a_bucket_to_a_bucket(pushed_output: Path, mixed_folder: Path, tmp_path: Path, s3_bucket: str) -> None:
    for file in mixed_folder.rglob("*.*"):
        write_object(f"{s3_bucket}/photos/{file.relative_to(mixed_folder)}", file.read_bytes())
    target = f"{s3_bucket}/answers/2024"
    result = _batch(f"{s3_bucket}/photos", target, "--photos-per-file", "40", output=pushed_output)
    assert result.exit_code == 1, result.output
    for file, _ in list_objects(target):
        path = tmp_path / "fetched" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_object(f"{target}/{file}"))
    answers = _answers(mixed_folder, pushed_output)
    expected = {f"{s3_bucket}/photos/{Path(uri).relative_to(mixed_folder)}": row for uri, row in answers.items()}
    _assert_same(_rows(tmp_path / "fetched"), expected)
    assert len(_unreadable(tmp_path / "fetched")) == 2
    lost = f"{target}/predictions-00001-of-00002.parquet"
    delete_object(lost)
    again = _batch(f"{s3_bucket}/photos", target, output=pushed_output)
    assert "1 of 2 files already exist" in again.output
    assert is_object(lost)


def test_what_cannot_be_done_is_said_in_one_line(
    pushed_output: Path, photo_folder: Path, tmp_path: Path, encode_image: Callable[..., bytes]
) -> None:
    with pytest.raises(UserError, match="no model was pushed below"):
        _batch(photo_folder, tmp_path / "a", output=tmp_path)
    with pytest.raises(UserError, match="the path does not exist; expected a folder, a glob"):
        _batch(tmp_path / "nowhere", tmp_path / "a", output=pushed_output)
    with pytest.raises(UserError, match="nothing matches; expected a folder, a glob"):
        _batch(tmp_path / "*.jpg", tmp_path / "a", output=pushed_output)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.webm").touch()
    (tmp_path / "file").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").touch()
    for source, target, message in [
        ("empty", "a", "no photos at .*; 1 file is not used: 1 .webm"),
        (photo_folder, "file/answers", "cannot write to --to .*file/answers: "),
        (photo_folder, "full", r"contains other files \(thesis.doc\): choose an empty folder"),
        ("broken", "b", "no photo could be read: .*/_unreadable.jsonl lists the reasons"),
    ]:
        result = _batch(tmp_path / source, tmp_path / target, output=pushed_output)
        assert result.exit_code == 1
        (line,) = (line for line in result.output.splitlines() if line.startswith("error: "))
        assert re.search(message, line), line
    assert "is not one of 'parquet', 'jsonl'" in _batch("a", "b", "--format", "csv", output=pushed_output).output
    for wrong in (["--input", "a"], ["--to", "a"], ["a.jpg", "--format", "jsonl"], ["--input", "a", "--to", "b", "c"]):
        assert _predict(*wrong, output=pushed_output).exit_code == 2


def test_a_target_belongs_to_one_input_and_model(pushed_output: Path, photo_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "answers"
    _batch(photo_folder, target, output=pushed_output)
    for other in ([photo_folder / "red", target], [photo_folder, target, "--format", "jsonl"]):
        result = _batch(*other, output=pushed_output)
        assert result.exit_code == 1
        assert "was started with --" in result.output
        assert "pass the same, or choose another --to" in result.output
