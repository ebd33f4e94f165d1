"""Tiny data for everything from features to an exported classifier: 3 classes told apart by colour."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from tf_examples import feature_example, raw_example, write_split
from tfx.components.trainer.fn_args_utils import FnArgs

from components.contracts.schema import build_schema
from components.modeling.backbones.saved_model import save_feature_vector
from components.modeling.classifier import build_classifier
from components.modeling.head import build_head
from components.modeling.serving import ServingModel, export

CLASS_NAMES = ["blue", "green", "red"]
COLORS = [(60, 80, 170), (70, 160, 80), (170, 80, 70)]
SPLIT_SIZES = {"train": 30, "validation": 12}


@pytest.fixture(scope="session")
def schema_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("schema") / "schema.pbtxt"
    path.write_text(text_format.MessageToString(build_schema(CLASS_NAMES)))
    return str(path)


class _ConvNet(tf.Module):
    """Two convolutions with batch normalisation; attributes are named against their order of use."""

    def __init__(self) -> None:
        super().__init__()
        random = tf.random.Generator.from_seed(5)
        self.z_kernel = tf.Variable(random.normal([3, 3, 3, 8], stddev=0.3), name="first/kernel")
        self.y_gamma = tf.Variable(tf.ones([8]), name="first_norm/gamma")
        self.y_mean = tf.Variable(tf.zeros([8]), trainable=False, name="first_norm/moving_mean")
        self.a_kernel = tf.Variable(random.normal([3, 3, 8, 12], stddev=0.2), name="last/kernel")

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        outputs = tf.nn.conv2d(images, self.z_kernel, 2, "SAME")
        if training:
            self.y_mean.assign(tf.reduce_mean(outputs, [0, 1, 2]))
        outputs = tf.nn.relu((outputs - self.y_mean) * self.y_gamma)
        outputs = tf.nn.relu(tf.nn.conv2d(outputs, self.a_kernel, 2, "SAME"))
        return tf.reduce_mean(outputs, [1, 2])


@pytest.fixture(scope="session")
def trainable_backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A reusable SavedModel from 16x16 images to 12 features."""
    path = tmp_path_factory.mktemp("trainable_backbone") / "model"
    save_feature_vector(_ConvNet(), path, (16, 16))
    return str(path)


@pytest.fixture(scope="session")
def any_size_backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same from images of any size."""
    path = tmp_path_factory.mktemp("any_size_backbone") / "model"
    save_feature_vector(_ConvNet(), path, (None, None))
    return str(path)


@pytest.fixture(scope="session")
def export_classifier(tmp_path_factory: pytest.TempPathFactory, transform_graph: str) -> Callable[..., str]:
    """A function that exports a backbone with an untrained head, as the Trainer would."""

    def export_with(backbone: str, digest: str = "d1", seed: int = 0, class_names: Sequence[str] = CLASS_NAMES) -> str:
        head = build_head(12, len(class_names), hidden_units=8, seed=seed)
        classifier = build_classifier(backbone, (16, 16), head)
        path = str(tmp_path_factory.mktemp("classifier") / "Format-Serving")
        export(ServingModel(classifier, tft.TFTransformOutput(transform_graph), class_names, digest), path)
        return path

    return export_with


@dataclasses.dataclass(frozen=True)
class _Files:
    """The arguments of FnArgs that tests share."""

    values: dict[str, Any]
    config: dict[str, Any] = dataclasses.field(default_factory=dict)

    def fn_args(self, folder: Path, **values: Any) -> FnArgs:
        folders = {name: str(folder / name) for name in ("serving_model_dir", "model_run_dir")}
        custom_config = {"work_root": str(folder / "work"), "feature_memory": 10**9, **self.config}
        custom_config |= values.pop("custom_config")
        return FnArgs(**self.values, **folders, custom_config=custom_config, **values)


@pytest.fixture(scope="session")
def image_files(
    tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes], transform_graph: str, schema_path: str
) -> _Files:
    """Raw examples of both splits."""
    root = tmp_path_factory.mktemp("raw_examples")
    patterns = {}
    for split, size in SPLIT_SIZES.items():
        photos = [encode_image(COLORS[i % 3], size=(20 + i % 5, 24), seed=i + size) for i in range(size)]
        records = [raw_example(photo, i % 3, str(i).encode()) for i, photo in enumerate(photos)]
        patterns[split] = [write_split(records, root / split)]
    return _Files(_shared(patterns, transform_graph, schema_path))


@pytest.fixture(scope="session")
def feature_files(
    tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes], transform_graph: str, schema_path: str
) -> _Files:
    """Feature examples of both splits, 12 numbers each, and the photos of the validation split."""
    root = tmp_path_factory.mktemp("feature_examples")
    rng = np.random.default_rng(1)
    patterns = {}
    for split, size in SPLIT_SIZES.items():
        vectors = rng.normal(0, 0.9, (size, 12)) + np.eye(3, 12)[np.arange(size) % 3]
        photos = [encode_image(COLORS[i % 3], seed=i) for i in range(size)]
        records = [
            feature_example(list(vector), i % 3, photo, str(i).encode())
            for i, (vector, photo) in enumerate(zip(vectors, photos, strict=True))
        ]
        patterns[split] = [write_split(records, root / split)]
    raw = [raw_example(photo, i % 3, str(i).encode()) for i, photo in enumerate(photos)]
    config = {"validation_photos": [write_split(raw, root / "validation_photos")]}
    return _Files(_shared(patterns, transform_graph, schema_path), config)


def _shared(patterns: dict[str, list[str]], transform_graph: str, schema_path: str) -> dict[str, Any]:
    return {
        "train_files": patterns["train"],
        "eval_files": patterns["validation"],
        "transform_graph_path": transform_graph,
        "schema_path": schema_path,
    }
