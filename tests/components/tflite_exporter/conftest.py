"""A trained classifier of 3 colours with its photos and Transform graph, as artifacts."""

import json
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata
from tfx import types
from tfx.types import standard_artifacts

from components import contracts
from components.contracts.schema import build_schema
from components.modeling.classifier import build_classifier
from components.modeling.head import build_head
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.serving import ServingModel, export
from components.transform.preprocessing import preprocessing_fn

CLASS_NAMES = ["blue", "grün", "two\nlines"]
_COLORS = [(60, 80, 170), (70, 160, 80), (170, 80, 70)]
_SIZES = {"train": 30, "test": 14}


@pytest.fixture(scope="session")
def artifacts(
    tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes], tiny_backbone: Path
) -> dict[str, list[types.Artifact]]:
    """The inputs of a TFLiteExporter."""
    root = tmp_path_factory.mktemp("tflite_inputs")
    found = {
        "examples": standard_artifacts.Examples(),
        "transform_graph": standard_artifacts.TransformGraph(),
        "model": standard_artifacts.Model(),
    }
    for key, artifact in found.items():
        artifact.uri = str(root / key)
    found["examples"].split_names = json.dumps(list(_SIZES))
    found["examples"].set_string_custom_property(contracts.CLASS_NAMES_PROPERTY, json.dumps(CLASS_NAMES))
    _write_photos(found["examples"].uri, encode_image)
    _write_transform_graph(found["transform_graph"].uri)
    _train(found, str(tiny_backbone))
    return {key: [artifact] for key, artifact in found.items()}


def _write_photos(uri: str, encode_image: Callable[..., bytes]) -> None:
    for split, size in _SIZES.items():
        path = Path(uri) / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
        path.parent.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for index in range(size):
                photo = encode_image(_COLORS[index % 3], size=(20 + index, 40 - index), seed=index)
                # The last photo's label is wrong.
                label = (index + (index == size - 1)) % 3
                values = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[photo])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                    "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(index).encode()])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString())


def _write_transform_graph(uri: str) -> None:
    metadata = dataset_metadata.DatasetMetadata(build_schema(CLASS_NAMES))
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=f"{uri}/tmp"):
        data = pipeline | beam.Create([{"image": [b""], "label": [0], "id": [b""]}])
        graph = (data, metadata) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, {"image_size": [16, 16]})
        )
        _ = graph | tft_beam.WriteTransformFn(uri)
        _ = metadata | tft_beam.WriteMetadata(f"{uri}/{tft.TFTransformOutput.RAW_METADATA_DIR}", pipeline)


def _train(found: dict[str, types.Artifact], backbone: str) -> None:
    output = tft.TFTransformOutput(found["transform_graph"].uri)
    classifier = build_classifier(backbone, (16, 16), build_head(12, len(CLASS_NAMES), hidden_units=8, seed=0))
    files = [f"{found['examples'].uri}/Split-train/*"]
    ((photos, labels),) = ImagePipeline(output, batch_size=_SIZES["train"]).validation_batches(files)
    features = classifier.get_layer("feature_extractor")(photos)
    head, optimizer = classifier.get_layer("classification_layers"), tf.keras.optimizers.Adam(0.05)
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, head(features))
        gradients = tape.gradient(loss, head.trainable_variables)
        optimizer.apply_gradients(zip(gradients, head.trainable_variables, strict=True))
    export(ServingModel(classifier, output, CLASS_NAMES, "d1"), f"{found['model'].uri}/Format-Serving")
