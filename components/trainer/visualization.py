"""What TensorBoard shows beside the training curves: the model's graph, sample predictions and the features themselves.

Features were computed before: no photo goes through the backbone again.
"""

import dataclasses
import io
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont, ImageOps
from tensorboard.plugins import projector

from components.contracts import FEATURE_VECTOR_KEY, ID_KEY, LABEL_KEY, PHOTO_DIGEST_KEY
from components.modeling.input_pipeline import read_serialized
from components.photos.exif import orientation_of, turn_upright
from components.photos.keyed_photos import PhotoKey, first_photos, photo_key

RUN_NAME: Final = "classifier"  # a TensorBoard run of its own, beside `train` and `validation`
MAX_EXAMPLES: Final = 1000  # more points hide each other, and browsers slow down
NUM_SAMPLES: Final = 24
_PARSED_AT_ONCE: Final = 256
FEATURES_FILE: Final = "features.tsv"
METADATA_FILE: Final = "metadata.tsv"
SPRITE_FILE: Final = "thumbnails.jpg"
# 32 x 32 of them are a texture of 2048 pixels, which every WebGL device takes.
_THUMBNAIL_SIZE: Final = 64
_PHOTO_SIZE: Final = 256
_CAPTION_HEIGHT: Final = 44
_FONT_SIZE: Final = 15
_RIGHT, _WRONG = (27, 94, 32), (183, 28, 28)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Validation examples and what the classifier makes of them.

    Attributes:
        features: float32 [N, D].
        photos: N image files as stored.
        ids: N ids.
        labels: int64 [N].
        probabilities: float32 [N, C].
        class_names: The C classes in label order.
    """

    features: np.ndarray
    photos: list[bytes]
    ids: list[str]
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: list[str]

    def true_class(self, index: int) -> str:
        """Returns the name of an example's own class."""
        return self.class_names[self.labels[index]]

    def predicted_class(self, index: int) -> str:
        """Returns the name of an example's most probable class."""
        return self.class_names[self.probabilities[index].argmax()]

    def score(self, index: int) -> float:
        """Returns the probability of an example's most probable class."""
        return float(self.probabilities[index].max())


def write_visualizations(
    classifier: tf.keras.Sequential,
    validation_files: Sequence[str],
    photo_files: Sequence[str],
    class_names: Sequence[str],
    logs: Path,
) -> None:
    """Writes a TensorBoard run named `classifier`; one that an interrupted attempt left is replaced.

    Args:
        classifier: Input layer, feature extractor and classification layers, trained.
        validation_files: Glob patterns of feature examples.
        photo_files: Glob patterns of the raw examples that they were made of; the first 1,000 are shown.
        class_names: The C classes in label order.
        logs: Local folder that holds the runs.
    """
    folder = logs / RUN_NAME
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    photos = first_photos(photo_files, MAX_EXAMPLES)
    predictions = predict(classifier.get_layer("classification_layers"), validation_files, photos, class_names)
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=0):
        _write_graph(classifier)
        if predictions.photos:
            _write_samples(predictions)
            _write_projector(predictions, folder)
    writer.close()


def predict(
    head: tf.keras.Model, files: Sequence[str], photos: Mapping[PhotoKey, bytes], class_names: Sequence[str]
) -> Predictions:
    """Classifies the feature examples of some photos.

    Args:
        head: The classification layers, from features [N, D] to logits [N, C].
        files: Glob patterns of feature examples, which are read as far as needed.
        photos: Image files as stored.
        class_names: The C classes in label order.
    """
    size = head.input_shape[-1]
    found: list[tuple[PhotoKey, int, np.ndarray]] = []
    for serialized in read_serialized(files).batch(_PARSED_AT_ONCE).as_numpy_iterator():
        if len(found) >= len(photos):
            break
        found += [row for row in _parse(serialized, size) if row[0] in photos]
    features = np.array([vector for _, _, vector in found], np.float32).reshape(-1, size)
    return Predictions(
        features=features,
        photos=[photos[key] for key, _, _ in found],
        ids=[key[0] for key, _, _ in found],
        labels=np.array([label for _, label, _ in found], np.int64),
        probabilities=tf.nn.softmax(head(features, training=False)).numpy(),
        class_names=list(class_names),
    )


def _parse(serialized: Sequence[bytes], feature_size: int) -> Iterator[tuple[PhotoKey, int, np.ndarray]]:
    spec = {
        ID_KEY: tf.io.FixedLenFeature([], tf.string),
        PHOTO_DIGEST_KEY: tf.io.FixedLenFeature([], tf.string),
        LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
        FEATURE_VECTOR_KEY: tf.io.FixedLenFeature([feature_size], tf.float32),
    }
    parsed = tf.io.parse_example(serialized, spec)
    for example_id, digest, label, vector in zip(*(parsed[key].numpy() for key in spec), strict=True):
        yield photo_key(example_id, digest.decode()), label, vector


def _write_graph(classifier: tf.keras.Sequential) -> None:
    classify = tf.function(lambda image: tf.nn.softmax(classifier(image, training=False)), autograph=False)
    spec = tf.TensorSpec([None, *classifier.input_shape[1:]], tf.float32, name="image")
    tf.summary.graph(classify.get_concrete_function(spec).graph.as_graph_def())


def _write_samples(predictions: Predictions) -> None:
    """Writes the first photos with their captions, and the same as a table."""
    rows = ["| photo | id | true | predicted | probability |", "|---|---|---|---|---|"]
    tiles = []
    for index in range(min(NUM_SAMPLES, len(predictions.photos))):
        true, predicted = predictions.true_class(index), predictions.predicted_class(index)
        score = f"{predictions.score(index):.4f}"
        cells = (
            str(index),
            predictions.ids[index],
            true,
            f"**{predicted}**" if predicted != true else predicted,
            score,
        )
        rows.append(f"| {' | '.join(_escape(cell).replace('|', '&#124;') for cell in cells)} |")
        caption = f"true: {_escape(true)}\npredicted: {_escape(predicted)}  {score}"
        tiles.append(_captioned(predictions.photos[index], caption, _RIGHT if predicted == true else _WRONG))
    tf.summary.image(
        "sample_predictions/photos",
        np.stack(tiles),
        max_outputs=NUM_SAMPLES,
        description="Validation photos with true class, predicted class and its probability; wrong ones on red.",
    )
    tf.summary.text("sample_predictions/table", "\n".join(rows))


def _captioned(photo: bytes, caption: str, color: tuple[int, int, int]) -> np.ndarray:
    """Draws a photo above two lines of text; uint8 [H, W, 3]."""
    tile = Image.new("RGB", (_PHOTO_SIZE, _PHOTO_SIZE + _CAPTION_HEIGHT), color)
    tile.paste(_square(photo, _PHOTO_SIZE))
    font = ImageFont.load_default(_FONT_SIZE)
    ImageDraw.Draw(tile).multiline_text((6, _PHOTO_SIZE + 4), caption, fill="white", font=font, spacing=3)
    return np.asarray(tile)


def _square(photo: bytes, size: int) -> Image.Image:
    """Decodes the middle of a photo at a size in pixels, upright."""
    image = Image.open(io.BytesIO(photo))
    # JPEG can be decoded at a fraction of its size, which is many times faster.
    image.draft("RGB", (size, size))
    middle = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    return Image.fromarray(turn_upright(np.asarray(middle), orientation_of(photo)).numpy())


def _write_projector(predictions: Predictions, folder: Path) -> None:
    """Writes features, their labels and thumbnails, and the file that tells the embedding projector of them."""
    row_format = "\t".join(["%.4g"] * predictions.features.shape[1])
    rows = [row_format % tuple(vector) for vector in predictions.features.tolist()]
    (folder / FEATURES_FILE).write_text("\n".join(rows) + "\n")
    (folder / METADATA_FILE).write_text(_metadata(predictions), encoding="utf-8")
    per_row = math.ceil(math.sqrt(len(rows)))
    sprite = Image.new("RGB", (per_row * _THUMBNAIL_SIZE,) * 2)
    for index, photo in enumerate(predictions.photos):
        row, column = divmod(index, per_row)
        sprite.paste(_square(photo, _THUMBNAIL_SIZE), (column * _THUMBNAIL_SIZE, row * _THUMBNAIL_SIZE))
    sprite.save(folder / SPRITE_FILE, quality=85)

    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name="validation features", tensor_path=FEATURES_FILE, metadata_path=METADATA_FILE
    )
    embedding.sprite.image_path = SPRITE_FILE
    embedding.sprite.single_image_dim.extend([_THUMBNAIL_SIZE] * 2)
    projector.visualize_embeddings(str(folder), config)


def _metadata(predictions: Predictions) -> str:
    """Returns a line of tab-separated values per example, below a line of names."""
    lines = ["label\tpredicted\tcorrect\tprobability\tid"]
    for index, example_id in enumerate(predictions.ids):
        true, predicted = predictions.true_class(index), predictions.predicted_class(index)
        correct = "yes" if true == predicted else "no"
        values = (true, predicted, correct, f"{predictions.score(index):.4f}", example_id)
        lines.append("\t".join(map(_escape, values)))
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    """Spells out what would end a value or a line, and the backslash that spells it."""
    return text.translate(_ESCAPES)
