"""Tests of what TensorBoard is given, read back from a real TensorBoard server."""

import html
import io
import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard import default, program
from tf_examples import feature_example, raw_example, write_split

from components.modeling.classifier import build_classifier
from components.modeling.head import build_head
from components.trainer.visualization import NUM_SAMPLES, write_visualizations

_CLASSES = ["blue|\tsky", "grün\n", "red"]
_COLORS = [(40, 60, 220), (40, 200, 60), (220, 40, 50)]
_IDS = ["a\tb.jpg", "two\nlines", "back\\slash", "größe", *map(str, range(4, 30))]
_EMBEDDING = "validation features"


class _TensorBoard:
    """A server on a folder of runs, asked about one of them."""

    def __init__(self, logs: Path):
        server = program.TensorBoard(plugins=default.get_plugins())
        server.configure(argv=["", "--logdir", str(logs), "--host", "127.0.0.1", "--port", "0"])
        self._address = server.launch()
        deadline = time.monotonic() + 60
        while "classifier" not in json.loads(self.get("runs")) and time.monotonic() < deadline:
            time.sleep(0.2)

    def ask(self, route: str, **query: str) -> bytes:
        return self.get(f"{route}?{urllib.parse.urlencode({'run': 'classifier', **query})}")

    def get(self, route: str) -> bytes:
        with urllib.request.urlopen(f"{self._address}data/{route}", timeout=30) as response:
            return bytes(response.read())


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(len(_IDS), 12)).astype(np.float32)


@pytest.fixture(scope="module")
def examples(
    tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes], vectors: np.ndarray
) -> tuple[str, str]:
    """Feature examples, and raw ones with photos of several formats in another order; returns their patterns."""
    folder = tmp_path_factory.mktemp("examples")
    kinds = [{"mode": "L"}, {"file_format": "PNG", "mode": "RGBA"}, {"file_format": "GIF"}, {"mode": "CMYK"}]
    photos = [
        encode_image(_COLORS[index % 3], size=(90, 60), **(kinds[index] if index < len(kinds) else {}))
        for index in range(len(_IDS))
    ]
    features = [
        feature_example(list(vector), index % 3, photos[index], _IDS[index].encode())
        for index, vector in enumerate(vectors)
    ]
    raw = [raw_example(photos[index], index % 3, _IDS[index].encode()) for index in reversed(range(len(_IDS)))]
    return write_split(features, folder / "features"), write_split(raw, folder / "raw")


@pytest.fixture(scope="module")
def classifier(tiny_backbone: Path) -> tf.keras.Sequential:
    return build_classifier(str(tiny_backbone), (16, 16), build_head(12, 3, hidden_units=4, seed=1))


@pytest.fixture(scope="module")
def tensorboard(
    tmp_path_factory: pytest.TempPathFactory, classifier: tf.keras.Sequential, examples: tuple[str, str]
) -> _TensorBoard:
    logs = tmp_path_factory.mktemp("logs")
    left = logs / "classifier" / "events.out.tfevents.0.interrupted"
    left.parent.mkdir()
    left.write_bytes(b"cut off")
    features, photos = examples
    write_visualizations(classifier, [features], [photos], _CLASSES, logs)
    assert not left.exists()
    return _TensorBoard(logs)


def _expected(classifier: tf.keras.Sequential, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities = tf.nn.softmax(classifier.get_layer("classification_layers")(vectors)).numpy()
    return probabilities.argmax(axis=1), probabilities.max(axis=1)


def test_the_projector_has_every_feature_vector(tensorboard: _TensorBoard, vectors: np.ndarray) -> None:
    assert json.loads(tensorboard.ask("plugin/projector/runs")) == ["classifier"]
    (embedding,) = json.loads(tensorboard.ask("plugin/projector/info"))["embeddings"]
    assert embedding["tensorName"] == _EMBEDDING
    assert embedding["tensorShape"] == [len(_IDS), 12]
    served = np.frombuffer(tensorboard.ask("plugin/projector/tensor", name=_EMBEDDING), np.float32)
    np.testing.assert_allclose(served.reshape(vectors.shape), vectors, rtol=1e-3)


def test_the_projector_has_labels_whatever_is_in_a_name(
    tensorboard: _TensorBoard, classifier: tf.keras.Sequential, vectors: np.ndarray
) -> None:
    lines = tensorboard.ask("plugin/projector/metadata", name=_EMBEDDING).decode().splitlines()
    rows = [line.split("\t") for line in lines]
    assert rows[0] == ["label", "predicted", "correct", "probability", "id"]
    assert {len(row) for row in rows} == {5}
    assert [row[4] for row in rows[1:5]] == ["a\\tb.jpg", "two\\nlines", "back\\\\slash", "größe"]
    names = ["blue|\\tsky", "grün\\n", "red"]
    assert [row[0] for row in rows[1:]] == [names[index % 3] for index in range(len(_IDS))]
    classes, scores = _expected(classifier, vectors)
    assert [row[1] for row in rows[1:]] == [names[index] for index in classes]
    np.testing.assert_allclose([float(row[3]) for row in rows[1:]], scores, atol=1e-4)
    assert {(row[0] == row[1], row[2]) for row in rows[1:]} == {(True, "yes"), (False, "no")}


def test_the_projector_has_a_thumbnail_per_photo(tensorboard: _TensorBoard) -> None:
    (embedding,) = json.loads(tensorboard.ask("plugin/projector/info"))["embeddings"]
    width, height = embedding["sprite"]["singleImageDim"]
    sprite = Image.open(io.BytesIO(tensorboard.ask("plugin/projector/sprite_image", name=_EMBEDDING)))
    assert sprite.size == (6 * width, 6 * height)
    for index in range(4, len(_IDS)):
        row, column = divmod(index, 6)
        pixel = sprite.getpixel((column * width + width // 2, row * height + height // 2))
        np.testing.assert_allclose(pixel, _COLORS[index % 3], atol=60)


def test_sample_predictions_are_shown(
    tensorboard: _TensorBoard, classifier: tf.keras.Sequential, vectors: np.ndarray
) -> None:
    tag = "sample_predictions/photos"
    classes, scores = _expected(classifier, vectors)
    for sample in (5, NUM_SAMPLES - 1):
        (image,) = json.loads(tensorboard.ask("plugin/images/images", tag=tag, sample=str(sample)))
        pixels = Image.open(io.BytesIO(tensorboard.get(f"plugin/images/individualImage?{image['query']}"))).convert(
            "RGB"
        )
        np.testing.assert_allclose(pixels.getpixel((100, 100)), _COLORS[sample % 3], atol=60)
        red, green, _ = pixels.getpixel((pixels.width - 2, pixels.height - 2))
        assert (green > red) == (classes[sample] == sample % 3)
    (text,) = json.loads(tensorboard.ask("plugin/text/text", tag="sample_predictions/table"))
    cells = [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", text["text"], re.DOTALL)]
    rows = [cells[start : start + 5] for start in range(0, len(cells), 5)]
    assert len(rows) == NUM_SAMPLES
    assert [row[4] for row in rows] == [f"{score:.4f}" for score in scores[:NUM_SAMPLES]]
    assert rows[3][1:3] == ["größe", "blue|\\tsky"]


def test_the_graph_shows_backbone_and_head(tensorboard: _TensorBoard) -> None:
    graph = tensorboard.ask("plugin/graphs/graph", conceptual="false").decode()
    for name in ("image", "classifier/feature_extractor/", "classifier/classification_layers/hidden/"):
        assert f'name: "{name}' in graph


def test_a_split_without_examples_has_a_graph_only(tmp_path: Path, classifier: tf.keras.Sequential) -> None:
    empty = tmp_path / "data_tfrecord-00000-of-00001.gz"
    with tf.io.TFRecordWriter(str(empty), tf.io.TFRecordOptions(compression_type="GZIP")):
        pass
    write_visualizations(classifier, [str(empty)], [str(empty)], _CLASSES, tmp_path / "logs")
    (events,) = (tmp_path / "logs" / "classifier").iterdir()
    assert any(event.graph_def for event in tf.compat.v1.train.summary_iterator(str(events)))
