"""What TensorBoard shows beside the training curves: the graph, sample predictions and the extracted features."""

import dataclasses
import io
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont, ImageOps
from tensorboard.plugins import projector

from components.contracts import FEATURE_VECTOR_KEY, ID_KEY, LABEL_KEY, PHOTO_DIGEST_KEY
from components.modeling.input_pipeline import read_serialized
from components.photos.decode import UPRIGHT, orientation_of, turn_upright
from components.photos.keyed_photos import PhotoKey, first_photos, photo_key

RUN_NAME: Final = "classifier"  # a TensorBoard run of its own, beside `train` and `validation`
MAX_EXAMPLES: Final = 400  # more points hide each other
NUM_SAMPLES: Final = 12
_PARSED_AT_ONCE: Final = 256
FEATURES_FILE: Final = "features.tsv"
METADATA_FILE: Final = "metadata.tsv"
SPRITE_FILE: Final = "thumbnails.jpg"
_THUMBNAIL_SIZE: Final = 64
_PHOTO_SIZE: Final = 256
_CAPTION_HEIGHT: Final = 44
_FONT_SIZE: Final = 15
_GREEN, _RED = (27, 94, 32), (183, 28, 28)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclasses.dataclass(frozen=True)
class _Example:
    """A validation photo as stored, its feature vector float32 [D], and the classifier's answer."""

    example_id: str
    photo: bytes
    features: np.ndarray
    true: str
    predicted: str
    probability: float

    @property
    def correct(self) -> bool:
        return self.true == self.predicted


def write_visualizations(
    classifier: tf.keras.Sequential,
    validation_files: Sequence[str],
    photo_files: Sequence[str],
    class_names: Sequence[str],
    logs: Path,
) -> None:
    """Writes a TensorBoard run named `classifier` to the folder `logs`; replaces the one of an interrupted attempt.

    The files are glob patterns: `validation_files` of feature examples, `photo_files` of the raw examples that they
    were made of; the first `MAX_EXAMPLES` are shown.
    """
    folder = logs / RUN_NAME
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    photos = first_photos(photo_files, MAX_EXAMPLES)
    examples = _classify(classifier.get_layer("classification_layers"), validation_files, photos, class_names)
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=0):
        classify = tf.function(lambda image: tf.nn.softmax(classifier(image, training=False)), autograph=False)
        spec = tf.TensorSpec([None, *classifier.input_shape[1:]], tf.float32, name="image")
        tf.summary.graph(classify.get_concrete_function(spec).graph.as_graph_def())
        if examples:
            _write_samples(examples[:NUM_SAMPLES])
            _write_projector(examples, folder)
    writer.close()


def _classify(
    head: tf.keras.Model, files: Sequence[str], photos: Mapping[PhotoKey, bytes], class_names: Sequence[str]
) -> list[_Example]:
    """Classifies the feature examples of some photos, and reads no more files than it needs."""
    spec = {
        ID_KEY: tf.io.FixedLenFeature([], tf.string),
        PHOTO_DIGEST_KEY: tf.io.FixedLenFeature([], tf.string),
        LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
        FEATURE_VECTOR_KEY: tf.io.FixedLenFeature([head.input_shape[-1]], tf.float32),
    }
    found: list[_Example] = []
    for serialized in read_serialized(files).batch(_PARSED_AT_ONCE):
        if len(found) >= len(photos):
            break
        parsed = tf.io.parse_example(serialized, spec)
        vectors = parsed[FEATURE_VECTOR_KEY]
        probabilities = tf.nn.softmax(head(vectors, training=False)).numpy()
        keys = map(photo_key, parsed[ID_KEY].numpy(), (digest.decode() for digest in parsed[PHOTO_DIGEST_KEY].numpy()))
        for key, label, vector, row in zip(keys, parsed[LABEL_KEY], vectors.numpy(), probabilities, strict=True):
            if key in photos:
                predicted = class_names[row.argmax()]
                found.append(_Example(key[0], photos[key], vector, class_names[label], predicted, float(row.max())))
    return found


def _write_samples(examples: Sequence[_Example]) -> None:
    """Writes photos with their captions, and the same as a table."""
    rows = ["| photo | id | true | predicted | probability |", "|---|---|---|---|---|"]
    for index, example in enumerate(examples):
        predicted = example.predicted if example.correct else f"**{example.predicted}**"
        cells = (str(index), example.example_id, example.true, predicted, f"{example.probability:.4f}")
        rows.append(f"| {' | '.join(_escape(cell).replace('|', '&#124;') for cell in cells)} |")
    tf.summary.image(
        "sample_predictions/photos",
        np.stack([_captioned(example) for example in examples]),
        max_outputs=len(examples),
        description="Validation photos with true class, predicted class and its probability; red: wrong.",
    )
    tf.summary.text("sample_predictions/table", "\n".join(rows))


def _captioned(example: _Example) -> np.ndarray:
    """Draws a photo above two lines of text; uint8 [H, W, 3]."""
    tile = Image.new("RGB", (_PHOTO_SIZE, _PHOTO_SIZE + _CAPTION_HEIGHT), _GREEN if example.correct else _RED)
    tile.paste(_square(example.photo, _PHOTO_SIZE))
    caption = f"true: {_escape(example.true)}\npredicted: {_escape(example.predicted)}  {example.probability:.4f}"
    font = ImageFont.load_default(_FONT_SIZE)
    ImageDraw.Draw(tile).multiline_text((6, _PHOTO_SIZE + 4), caption, fill="white", font=font, spacing=3)
    return np.asarray(tile)


def _square(photo: bytes, size: int) -> Image.Image:
    """Decodes the middle of a photo at a size in pixels, upright."""
    image = Image.open(io.BytesIO(photo))
    # JPEG can be decoded at a fraction of its size, which is many times faster.
    image.draft("RGB", (size, size))
    middle = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    orientation = orientation_of(photo)
    if orientation == UPRIGHT:
        return middle
    return Image.fromarray(turn_upright(np.asarray(middle), orientation).numpy())


def _write_projector(examples: Sequence[_Example], folder: Path) -> None:
    """Writes features, their labels and thumbnails, and the embedding projector's configuration."""
    np.savetxt(folder / FEATURES_FILE, [example.features for example in examples], "%.4g", delimiter="\t")
    lines = ["label\tpredicted\tcorrect\tprobability\tid"]
    for example in examples:
        correct, probability = "yes" if example.correct else "no", f"{example.probability:.4f}"
        values = (example.true, example.predicted, correct, probability, example.example_id)
        lines.append("\t".join(map(_escape, values)))
    (folder / METADATA_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    per_row = math.ceil(math.sqrt(len(examples)))
    sprite = Image.new("RGB", (per_row * _THUMBNAIL_SIZE,) * 2)
    for index, example in enumerate(examples):
        row, column = divmod(index, per_row)
        sprite.paste(_square(example.photo, _THUMBNAIL_SIZE), (column * _THUMBNAIL_SIZE, row * _THUMBNAIL_SIZE))
    sprite.save(folder / SPRITE_FILE, quality=85)

    config = projector.ProjectorConfig()
    name = "validation features"
    embedding = config.embeddings.add(tensor_name=name, tensor_path=FEATURES_FILE, metadata_path=METADATA_FILE)
    embedding.sprite.image_path = SPRITE_FILE
    embedding.sprite.single_image_dim.extend([_THUMBNAIL_SIZE] * 2)
    projector.visualize_embeddings(str(folder), config)


def _escape(text: str) -> str:
    """Escapes what would end a value or a line, and the backslash."""
    return text.translate(_ESCAPES)
