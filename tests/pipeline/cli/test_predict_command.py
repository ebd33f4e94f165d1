"""Tests of `predict` on a real SavedModel, and of that model behind TF Serving's request protos."""

import csv
import http.server
import io
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner, Result
from loopback_storages import put_raw
from photo_files import ANIMATED_GIF, encode, scene
from tensorflow_serving.apis import predict_pb2

from components.common.errors import UserError
from components.storage.objects import write_object
from pipeline.cli.main import cli
from pipeline.prediction import photo_inputs

_CLASSES = {"blue", "green", "red"}
Encode = Callable[..., bytes]


def _predict(*args: str | Path, model: Path) -> Result:
    result = CliRunner().invoke(cli, ["predict", *map(str, args), "--output", str(model)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def photo(tmp_path: Path, encode_image: Encode) -> Path:
    path = tmp_path / "a photo.jpg"
    path.write_bytes(encode_image())
    return path


def test_the_latest_version_gives_every_class_its_probability(pushed_output: Path, photo: Path) -> None:
    answer = json.loads(_predict(photo, "--json", "--top", "9", model=pushed_output).stdout)
    assert answer["model"] == str(pushed_output / "serving_model/flowers/200")
    (prediction,) = answer["predictions"]
    probabilities = [entry["probability"] for entry in prediction["classes"]]
    assert {entry["class"] for entry in prediction["classes"]} == _CLASSES
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
    signature = tf.saved_model.load(answer["model"]).signatures["serving_default"]
    expected = signature(image_bytes=tf.constant([photo.read_bytes()]))
    assert prediction["classes"][0]["class"] == expected["label"].numpy()[0].decode()
    assert probabilities[0] == pytest.approx(float(expected["score"][0]), abs=1e-6)


def test_bad_photos_are_reported_and_the_others_answered(pushed_output: Path, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    (tmp_path / "half.jpg").write_bytes(photo.read_bytes()[:200])
    names = [tmp_path / "text.jpg", photo, tmp_path / "half.jpg", tmp_path / "missing.jpg", photo]
    result = _predict(*names, "--json", model=pushed_output)
    predictions = json.loads(result.stdout)["predictions"]
    assert result.exit_code == 1
    assert ["error" in prediction for prediction in predictions] == [True, False, True, True, False]
    assert [prediction["photo"] for prediction in predictions] == list(map(str, names))
    assert "No such file" in predictions[3]["error"]
    assert predictions[1]["classes"] == predictions[4]["classes"]


def test_files_that_are_not_used_and_missing_ones_are_named(pushed_output: Path, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a photo")
    shown = _predict(tmp_path, tmp_path / "none.jpg", "--csv", model=pushed_output)
    answer = _predict(tmp_path / "*.[jt]*", "--json", model=pushed_output)
    told = json.loads(answer.stdout)
    assert (shown.exit_code, answer.exit_code) == (1, 0)
    assert shown.stderr.startswith(
        "1 file is not used: 1 .txt (--json lists them)\n"
        f"Not found: 1 photo, such as '{tmp_path / 'none.jpg'}'\nModel: "
    )
    assert [prediction["photo"] for prediction in told["predictions"]] == [str(photo)]
    assert told["not_used"] == [{"file": str(tmp_path / "notes.txt"), "reason": ".txt"}]


def test_the_first_frame_of_a_gif_is_classified(pushed_output: Path, tmp_path: Path) -> None:
    (tmp_path / "animated.gif").write_bytes(ANIMATED_GIF)
    (tmp_path / "first.gif").write_bytes(encode(scene(1), format="GIF"))
    (tmp_path / "photo.tif").write_bytes(encode(scene(1), format="TIFF"))
    result = _predict(tmp_path, "--json", model=pushed_output)
    animated, first, _ = json.loads(result.stdout)["predictions"]
    assert result.exit_code == 0
    assert animated["classes"] == first["classes"]


@pytest.mark.parametrize("form", ["--csv", "--json", "--top=1"])
def test_names_that_are_not_utf_8_are_printed(pushed_output: Path, photo: Path, form: str) -> None:
    result = _predict(photo.rename(photo.with_name(os.fsdecode(b"caf\xe9.jpg"))), form, model=pushed_output)
    assert result.exit_code == 0
    assert re.search(r"caf\\+(xe9|udce9)", result.stdout)


@pytest.mark.parametrize(
    "command",
    [
        "runs --output",
        "predict a.jpg --output",
        "doctor --output",
        "tensorboard --output",
        "report --to",
        "labels --to",
    ],
)
def test_records_and_what_is_made_of_them_are_on_this_machine(command: str) -> None:
    result = CliRunner().invoke(cli, [*command.split(), "s3://b/runs"])
    assert result.exit_code == 2
    assert "s3://b/runs is not a path on this machine" in " ".join(result.output.split())


def test_a_folder_is_searched_and_csv_has_a_row_per_class(pushed_output: Path, photo_folder: Path) -> None:
    (photo_folder / "notes.txt").write_text("not a photo")
    result = _predict(photo_folder, "--csv", "--top", "2", model=pushed_output)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert result.exit_code == 0
    assert len(rows) == 60 * 2
    assert [row["rank"] for row in rows[:2]] == ["1", "2"]
    assert {Path(row["photo"]).suffix for row in rows} == {".jpg"}


def test_the_table_shows_names_and_percentages(pushed_output: Path, photo: Path) -> None:
    result = _predict(photo, model=pushed_output)
    assert "a photo.jpg" in result.stdout
    assert "%" in result.stdout
    assert str(pushed_output) not in result.stdout


def test_unfamiliar_photos_are_marked(
    pushed_output: Path, familiar_model: Path, tmp_path: Path, encode_image: Encode
) -> None:
    photos = [tmp_path / "red.jpg", tmp_path / "violet.jpg"]
    for path, color in zip(photos, [(200, 30, 30), (120, 20, 230)], strict=True):
        path.write_bytes(encode_image(color))
    asked = [*photos, "--model", familiar_model]
    told = json.loads(_predict(*asked, "--json", model=pushed_output).stdout)["predictions"]
    assert [(answer["familiarity"], answer["unfamiliar"]) for answer in told] == [(0.5, False), (0.0, True)]
    rows = list(csv.DictReader(io.StringIO(_predict(*asked, "--csv", "--top", "1", model=pushed_output).stdout)))
    assert [(row["familiarity"], row["unfamiliar"]) for row in rows] == [("0.500000", "no"), ("0.000000", "yes")]
    lines = _predict(*asked, model=pushed_output).stdout.splitlines()
    assert [line for line in lines if "unfamiliar; if anything" in line] == [
        line for line in lines if "violet.jpg" in line
    ]
    assert any("red.jpg" in line for line in lines)


def test_a_model_that_does_not_tell_marks_nothing(pushed_output: Path, photo: Path) -> None:
    """Pushed by an earlier version of this project."""
    (answer,) = json.loads(_predict(photo, "--json", model=pushed_output).stdout)["predictions"]
    assert set(answer) == {"photo", "classes"}
    (row,) = csv.DictReader(io.StringIO(_predict(photo, "--csv", "--top", "1", model=pushed_output).stdout))
    assert (row["familiarity"], row["unfamiliar"]) == ("", "")
    assert "unfamiliar" not in _predict(photo, model=pushed_output).stdout


class _Handler(http.server.BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        if self.path == "/photo.jpg":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.content)
        else:
            self.send_error(404)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(encode_image: Encode) -> Iterator[str]:
    _Handler.content = encode_image()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def test_urls_are_fetched_and_failures_named(pushed_output: Path, server: str) -> None:
    result = _predict(f"{server}/photo.jpg", f"{server}/none.jpg", "--json", model=pushed_output)
    found, missing = json.loads(result.stdout)["predictions"]
    assert "classes" in found
    assert missing["error"] == "the server answered 404 Not Found"


def test_no_more_than_the_limit_is_fetched(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_inputs, "MAX_BYTES", 100)
    (photo,) = photo_inputs.read_photos([f"{server}/photo.jpg"])
    assert (photo.content, photo.error is None) == (b"", False)


def test_what_cannot_be_used_is_said_in_one_line(pushed_output: Path, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model was pushed"):
        _predict(photo, model=tmp_path)
    with pytest.raises(UserError, match="no SavedModel"):
        _predict(photo, "--model", tmp_path, model=pushed_output)
    with pytest.raises(UserError, match="cannot load"):
        _predict(photo, "--model", pushed_output / "serving_model/flowers/99", model=pushed_output)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no photos at"):
        _predict(tmp_path / "empty", model=pushed_output)


def test_a_model_in_a_bucket_is_copied_once(pushed_output: Path, photo: Path, tmp_path: Path, s3_bucket: str) -> None:
    serving = pushed_output / "serving_model"
    for file in filter(Path.is_file, serving.rglob("*")):
        write_object(f"{s3_bucket}/{file.relative_to(serving)}", file.read_bytes())
    here = json.loads(_predict(photo, "--json", model=pushed_output).stdout)
    for model in (f"{s3_bucket}/flowers", f"{s3_bucket}/flowers/200/"):
        answers = [_predict(photo, "--json", "--model", model, model=tmp_path / "new") for _ in range(2)]
        first, second = [json.loads(answer.stdout) for answer in answers]
        assert first["predictions"] == here["predictions"]
        assert second == first
        assert f"copied from {model}" in answers[0].stderr
    copies = list((tmp_path / "new" / "fetched_models").iterdir())
    assert len(copies) == 2
    assert all((copy / "saved_model.pb").is_file() for copy in copies)
    for name in ("saved_model.pb", "variables/../../../evil"):
        put_raw(f"{s3_bucket}/bad/{name}", b"evil")
    with pytest.raises(UserError, match=r"^cannot copy the model s3://.*: .*variables/\.\./\.\./\.\./evil"):
        _predict(photo, "--model", f"{s3_bucket}/bad", model=tmp_path / "new")
    assert not list(tmp_path.rglob("evil"))
    with pytest.raises(UserError, match=r"no SavedModel in --model s3://.*/nothing"):
        _predict(photo, "--model", f"{s3_bucket}/nothing", model=pushed_output)
    with pytest.raises(UserError, match=r"cannot copy the model s3://no-such-bucket/flowers to .*NoSuchBucket"):
        _predict(photo, "--model", "s3://no-such-bucket/flowers", model=pushed_output)


def test_the_pushed_model_answers_tf_servings_requests(pushed_output: Path, encode_image: Encode) -> None:
    """What a client sends and TensorFlow Serving does with it, but for the socket between the two."""
    photos = [encode_image((200, 40, 40), size=(60, 20)), encode_image((30, 30, 220), file_format="PNG")]
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "flowers"
    request.model_spec.signature_name = "serving_default"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(photos))
    received = predict_pb2.PredictRequest.FromString(request.SerializeToString())

    model = tf.saved_model.load(str(pushed_output / "serving_model/flowers/200"), tags=["serve"])
    signature = model.signatures[received.model_spec.signature_name]
    _, accepted = signature.structured_input_signature
    assert set(received.inputs) == set(accepted)
    inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in received.inputs.items()}
    assert all(accepted[name].is_compatible_with(tensor) for name, tensor in inputs.items())
    response = predict_pb2.PredictResponse(model_spec=received.model_spec)
    for name, tensor in signature(**inputs).items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(tensor))
    answer = predict_pb2.PredictResponse.FromString(response.SerializeToString())

    probabilities = tf.make_ndarray(answer.outputs["probabilities"])
    labels = [label.decode() for label in tf.make_ndarray(answer.outputs["label"])]
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert set(labels) <= _CLASSES
    np.testing.assert_allclose(tf.make_ndarray(answer.outputs["score"]), probabilities.max(axis=1))
