"""Photos, a Transform graph and backbones small enough to extract features within seconds."""

import json
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata
from tfx.types import standard_artifacts

from components import contracts
from components.contracts.schema import build_schema
from components.modeling.backbones.saved_model import save_feature_vector
from components.storage.examples_io import WriteExamples
from components.transform.preprocessing import preprocessing_fn

SIZES = {"train": 11, "validation": 5, "test": 4}
IMAGE_SIZE = (16, 16)


class ConvNet(tf.Module):
    """Convolutions with batch normalisation as published backbones have them, and a record of what passed through."""

    def __init__(self, passes_file: str) -> None:
        super().__init__()
        random = tf.random.Generator.from_seed(7)

        def norm(channels: int) -> list[tf.Variable]:
            values = random.uniform([4, channels], 0.2, 2.0)
            return [tf.Variable(row) for row in tf.unstack(values)]

        self.filters = [
            tf.Variable(random.normal([3, 3, 3, 8], stddev=0.3)),
            tf.Variable(random.normal([3, 3, 8, 2], stddev=0.3)),
            tf.Variable(random.normal([1, 1, 16, 12], stddev=0.3)),
        ]
        self.norms = [norm(8), norm(16), norm(12)]
        self._passes_file = passes_file

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        if self._passes_file and not training:
            tf.print(tf.shape(images)[0], output_stream=f"file://{self._passes_file}")
        first, depthwise, last = self.filters
        x = self._normalize(tf.nn.conv2d(images, first, 2, "SAME"), 0)
        x = self._normalize(tf.nn.depthwise_conv2d(tf.nn.relu6(x), depthwise, [1, 1, 1, 1], "SAME"), 1)
        x = self._normalize(tf.nn.conv2d(tf.nn.relu6(x), last, 1, "SAME"), 2)
        return tf.reduce_mean(x, [1, 2])

    def _normalize(self, x: tf.Tensor, index: int) -> tf.Tensor:
        gamma, beta, mean, variance = self.norms[index]
        return tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, mean, variance, epsilon=1e-3, is_training=False)[0]


@pytest.fixture(scope="session")
def save_convnet(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that saves the backbone, which notes its batch sizes in a file if one is given."""

    def save(passes_file: str = "") -> Path:
        path = tmp_path_factory.mktemp("convnet") / "model"
        save_feature_vector(ConvNet(passes_file), path, IMAGE_SIZE)
        return path

    return save


def raw_example(image: bytes, label: int, example_id: bytes) -> bytes:
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(image)
    example.features.feature["label"].int64_list.value.append(label)
    example.features.feature["id"].bytes_list.value.append(example_id)
    return example.SerializeToString(deterministic=True)


@pytest.fixture(scope="session")
def raw_examples(
    tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes]
) -> standard_artifacts.Examples:
    """An Examples artifact with photos of different sizes in three splits."""
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path_factory.mktemp("raw"))
    artifact.split_names = json.dumps(list(SIZES))
    artifact.set_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY, json.dumps(SIZES))
    artifact.set_string_custom_property(contracts.DATASET_NAME_PROPERTY, "tiny")
    with beam.Pipeline() as pipeline:
        for split, size in SIZES.items():
            ids = [f"{split}/{index}".encode() for index in range(size)]
            photos = [encode_image((20 * i, 100, 250 - 20 * i), size=(20 + i, 33 - i), seed=i) for i in range(size)]
            examples = [(key, raw_example(photos[i], i % 3, key)) for i, key in enumerate(ids)]
            created = pipeline | f"Create[{split}]" >> beam.Create(examples)
            _ = created | f"Write[{split}]" >> WriteExamples(f"{artifact.uri}/Split-{split}", 1)
    return artifact


@pytest.fixture(scope="session")
def transform_graph(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.TransformGraph:
    """Transform's graph for the backbone's image size."""
    path = str(tmp_path_factory.mktemp("transform"))
    schema = build_schema(["a", "b", "c"])
    metadata = dataset_metadata.DatasetMetadata(schema)
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=f"{path}/tmp"):
        data = pipeline | beam.Create([{"image": [b""], "label": [0], "id": [b""]}])
        graph = (data, metadata) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, {"image_size": list(IMAGE_SIZE)})
        )
        _ = graph | tft_beam.WriteTransformFn(path)
        _ = metadata | tft_beam.WriteMetadata(f"{path}/{tft.TFTransformOutput.RAW_METADATA_DIR}", pipeline)
    artifact = standard_artifacts.TransformGraph()
    artifact.uri = path
    return artifact
