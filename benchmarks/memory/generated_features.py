"""Feature examples drawn at random, as many as wanted, with all that the Trainer needs besides."""

import dataclasses
import io
from pathlib import Path
from typing import Final

import apache_beam as beam
import numpy as np
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import text_format
from PIL import Image
from tensorflow_transform.tf_metadata import dataset_metadata
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx_bsl.public import tfxio

from components import contracts
from components.contracts.schema import build_schema
from components.modeling.backbones.saved_model import save_feature_vector
from components.modeling.hyperparameters import Hyperparameters
from components.photos.convert import photo_digest
from components.storage.examples_io import shards_for, to_example
from components.storage.shards import write_shard
from components.trainer.component import VALIDATION_PHOTOS
from components.trainer.run_fn import run_fn
from components.transform.preprocessing import preprocessing_fn

import tensorflow as tf  # isort: skip

CLASS_NAMES: Final = ["a", "b", "c", "d", "e"]
_IMAGE_SIZE: Final = (16, 16)
_ID: Final = b"class/photo_000000.jpg"
_STORED: Final = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=0)


class MeanColors(tf.Module):
    """A backbone that costs nothing."""

    def __init__(self, feature_size: int) -> None:
        """Maps colors to so many numbers."""
        super().__init__()
        self.kernel = tf.Variable(tf.ones([3, feature_size]))

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return tf.reduce_mean(images, [1, 2]) @ self.kernel


def generate(folder: Path, train_examples: int, feature_size: int) -> None:
    """Writes both splits, the validation split a quarter of the training split, a photo, schema, graph and backbone.

    Args:
        folder: An empty folder.
        train_examples: Examples of the training split, at least 1.
        feature_size: D, the length of a feature vector.
    """
    _write_split(folder / "train", train_examples, feature_size, seed=0)
    _write_split(folder / "validation", max(1, train_examples // 4), feature_size, seed=1)
    write_shard(f"{folder}/photos/data.gz", [to_example(_photo(), 0, _ID).SerializeToString()])
    (folder / "schema.pbtxt").write_text(text_format.MessageToString(build_schema(CLASS_NAMES)))
    _write_transform_graph(str(folder / "transform"))
    save_feature_vector(MeanColors(feature_size), folder / "backbone", _IMAGE_SIZE)


def train(folder: Path, memory: int, epochs: int, batch_size: int) -> None:
    """Runs the Trainer on what `generate` wrote; its curve is `run/history.json`.

    Args:
        folder: Given to `generate`.
        memory: Bytes of features to keep in memory.
        epochs: Passes over the training split.
        batch_size: Examples per step.
    """
    hyperparameters = Hyperparameters(epochs=epochs, batch_size=batch_size)
    run_fn(
        FnArgs(
            train_files=[f"{folder}/train/*"],
            eval_files=[f"{folder}/validation/*"],
            transform_graph_path=str(folder / "transform"),
            schema_path=str(folder / "schema.pbtxt"),
            base_model=str(folder / "backbone"),
            serving_model_dir=str(folder / "model"),
            model_run_dir=str(folder / "run"),
            custom_config={
                "hyperparameters": dataclasses.asdict(hyperparameters),
                "feature_memory": memory,
                "work_root": str(folder / "work"),
                VALIDATION_PHOTOS: [f"{folder}/photos/*"],
            },
        )
    )


def _write_split(folder: Path, examples: int, feature_size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    centers = np.random.default_rng(0).normal(0, 0.05, (len(CLASS_NAMES), feature_size))
    templates = [_template(label, feature_size) for label in range(len(CLASS_NAMES))]
    folder.mkdir()
    shards = shards_for(examples)
    for shard, size in enumerate(np.diff(np.linspace(0, examples, shards + 1).astype(int))):
        labels = random.integers(0, len(CLASS_NAMES), size)
        vectors = (random.standard_normal((size, feature_size), np.float32) + centers[labels]).astype("<f4")
        path = folder / f"data_tfrecord-{shard:05d}-of-{shards:05d}.gz"
        with tf.io.TFRecordWriter(str(path), _STORED) as writer:
            for label, vector in zip(labels, vectors, strict=True):
                before, after = templates[label]
                writer.write(before + vector.tobytes() + after)


def _template(label: int, feature_size: int) -> tuple[bytes, bytes]:
    """Returns what surrounds the feature vector in a serialized example: filled in as bytes, it is quicker."""
    zeros = np.zeros(feature_size, "<f4")
    example = tf.train.Example()
    feature = example.features.feature
    feature[contracts.FEATURE_VECTOR_KEY].float_list.value.extend(zeros.tolist())
    feature[contracts.LABEL_KEY].int64_list.value.append(label)
    feature[contracts.ID_KEY].bytes_list.value.append(_ID)
    feature[contracts.BACKBONE_DIGEST_KEY].bytes_list.value.append(b"0" * 64)
    feature[contracts.PHOTO_DIGEST_KEY].bytes_list.value.append(photo_digest(_photo()).encode())
    before, after = example.SerializeToString(deterministic=True).split(zeros.tobytes())
    return before, after


def _photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", _IMAGE_SIZE).save(file, "JPEG")
    return file.getvalue()


def _write_transform_graph(path: str) -> None:
    schema = build_schema(CLASS_NAMES)
    source = tfxio.TFExampleBeamRecord(["benchmark"], schema=schema)
    example = tf.train.Example()
    for key, value in ((contracts.IMAGE_KEY, _photo()), (contracts.ID_KEY, b"x")):
        example.features.feature[key].bytes_list.value.append(value)
    example.features.feature[contracts.LABEL_KEY].int64_list.value.append(0)
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=f"{path}/tmp"):
        data = pipeline | beam.Create([example.SerializeToString(deterministic=True)]) | source.BeamSource()
        graph = (data, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, {"image_size": list(_IMAGE_SIZE)})
        )
        _ = graph | tft_beam.WriteTransformFn(path)
        metadata = dataset_metadata.DatasetMetadata(schema)
        _ = metadata | tft_beam.WriteMetadata(f"{path}/{tft.TFTransformOutput.RAW_METADATA_DIR}", pipeline)
