"""The reference recipe as a plain script: the frozen backbone runs on every photo of every epoch.

Started by `benchmarks.measuring.subjects` in a process of its own. It shares the data reader and the split with the
pipeline, so that both see the same photos; nothing else. Its input pipeline decodes in parallel and prefetches.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

import click

from components.example_gen.data_source import find_photos, make_builder
from components.example_gen.options import DataSource
from components.example_gen.tfds_dataset import prepare_dataset
from components.photos.splits import DEFAULT_SPLIT_FRACTIONS, split_slices

import tensorflow as tf  # isort: skip
import tensorflow_hub as hub  # isort: skip

BATCH_SIZE: Final = 32
HIDDEN_UNITS: Final = 512
LEARNING_RATE: Final = 1e-3
_SEED: Final = 0


@dataclasses.dataclass
class PassCounter:
    """How many photos went through the backbone."""

    photos: int = 0


def load_splits(source: DataSource) -> tuple[dict[str, tf.data.Dataset], int]:
    """Reads the same splits as the pipeline; returns them and the number of classes."""
    if source.photos:
        return _load_files(source)
    builder = prepare_dataset(make_builder(source))
    sizes = {name: split.num_examples for name, split in builder.info.splits.items()}
    slices = split_slices(sizes, DEFAULT_SPLIT_FRACTIONS)
    splits = {name: builder.as_dataset(split=part, as_supervised=True) for name, part in slices.items()}
    return splits, builder.info.features["label"].num_classes


def _load_files(source: DataSource) -> tuple[dict[str, tf.data.Dataset], int]:
    photos = find_photos(source)
    names = photos.photo_set.class_names

    def read(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False), label

    splits = {}
    for split, found in photos.splits.items():
        listed = [photo.file for photo in found], [names.index(photo.class_name) for photo in found]
        splits[split] = tf.data.Dataset.from_tensor_slices(listed).map(read, tf.data.AUTOTUNE)
    return splits, len(names)


def batches(dataset: tf.data.Dataset, image_size: tuple[int, int], shuffle: bool) -> tf.data.Dataset:
    """Returns the recipe's input pipeline: shuffle, resize and scale to [0, 1], batch, prefetch."""

    def format_image(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.image.resize(tf.image.convert_image_dtype(image, tf.float32), image_size), label

    if shuffle:
        dataset = dataset.shuffle(int(dataset.cardinality()) // 4, seed=_SEED)
    return dataset.map(format_image, tf.data.AUTOTUNE).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)


def build_model(backbone: str, image_size: tuple[int, int], num_classes: int) -> tf.keras.Sequential:
    """Returns feature extractor (frozen), Dense, ReLU, Dense."""
    return tf.keras.Sequential(
        [
            hub.KerasLayer(backbone, input_shape=(*image_size, 3), trainable=False),
            tf.keras.layers.Dense(HIDDEN_UNITS, activation="relu"),
            tf.keras.layers.Dense(num_classes),
        ]
    )


def train(model: tf.keras.Model, splits: dict[str, tf.data.Dataset], epochs: int) -> tuple[list[float], float, int]:
    """Trains, validating after every epoch, and tests at the end.

    Args:
        model: From images to logits.
        splits: Batches of train, validation and test.
        epochs: Passes over the training split.

    Returns:
        Validation accuracy after every epoch, test accuracy, and how many photos went through the backbone.
    """
    loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = tf.keras.optimizers.Adam(LEARNING_RATE)
    accuracy = tf.keras.metrics.SparseCategoricalAccuracy()
    counter = PassCounter()

    @tf.function
    def train_step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = loss_object(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    @tf.function
    def test_step(images: tf.Tensor, labels: tf.Tensor) -> None:
        accuracy.update_state(labels, model(images, training=False))

    def measure(split: str) -> float:
        accuracy.reset_state()
        for images, labels in splits[split]:
            test_step(images, labels)
            counter.photos += len(images)
        return float(accuracy.result())

    validation_accuracy = []
    for epoch in range(epochs):
        for images, labels in splits["train"]:
            train_step(images, labels)
            counter.photos += len(images)
        validation_accuracy.append(measure("validation"))
        print(f"epoch {epoch + 1}: validation accuracy {validation_accuracy[-1]:.4f}", flush=True)
    return validation_accuracy, measure("test"), counter.photos


@click.command()
@click.option("--source", required=True, help="The DataSource's fields as JSON.")
@click.option("--backbone", required=True, help="SavedModel folder.")
@click.option("--image-size", type=int, required=True, help="Height and width in pixels.")
@click.option("--epochs", type=int, required=True)
@click.option("--result", type=click.Path(path_type=Path), required=True, help="JSON file to write.")
def main(source: str, backbone: str, image_size: int, epochs: int, result: Path) -> None:
    """Trains by the reference recipe and writes what came out."""
    tf.keras.utils.set_random_seed(_SEED)
    size = (image_size, image_size)
    datasets, num_classes = load_splits(DataSource(**json.loads(source)))
    splits = {name: batches(dataset, size, shuffle=name == "train") for name, dataset in datasets.items()}
    model = build_model(backbone, size, num_classes)
    validation_accuracy, test_accuracy, passes = train(model, splits, epochs)
    photos = sum(int(dataset.cardinality()) for dataset in datasets.values())
    outcome: dict[str, Any] = {
        "photos": photos,
        "backbone_passes": passes,
        "validation_accuracy": validation_accuracy,
        "test_accuracy": test_accuracy,
    }
    result.write_text(json.dumps(outcome, indent=2))


if __name__ == "__main__":
    main()
