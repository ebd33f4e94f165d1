"""A pushed model as the pipeline leaves it, for the commands that load one."""

from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tfx_bsl.public import tfxio

from components.contracts.schema import build_schema
from components.modeling.classifier import build_classifier
from components.modeling.familiarity import Familiarity
from components.modeling.head import build_head
from components.modeling.serving import ServingModel, export
from components.transform.preprocessing import preprocessing_fn

CLASSES = ["blue", "green", "red"]


@pytest.fixture(scope="session")
def _served(
    tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path, encode_image: Callable[..., bytes]
) -> tuple[tf.keras.Sequential, tft.TFTransformOutput]:
    """A classifier and its Transform graph."""
    root = tmp_path_factory.mktemp("classifier")
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(encode_image())
    example.features.feature["label"].int64_list.value.append(0)
    example.features.feature["id"].bytes_list.value.append(b"x")
    source = tfxio.TFExampleBeamRecord(["test"], schema=build_schema(CLASSES))
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=str(root / "tmp")):
        data = pipeline | beam.Create([example.SerializeToString()]) | source.BeamSource()
        graph = (data, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, {"image_size": [16, 16]})
        )
        _ = graph | tft_beam.WriteTransformFn(str(root / "transform"))
    head = build_head(12, len(CLASSES), hidden_units=8, seed=0)
    return build_classifier(str(tiny_backbone), (16, 16), head), tft.TFTransformOutput(str(root / "transform"))


@pytest.fixture(scope="session")
def pushed_output(
    tmp_path_factory: pytest.TempPathFactory, _served: tuple[tf.keras.Sequential, tft.TFTransformOutput]
) -> Path:
    """An output folder with version 200 of a real model, and an older version that cannot be loaded."""
    output = tmp_path_factory.mktemp("pushed") / "output"
    versions = output / "serving_model" / "flowers"
    export(ServingModel(*_served, CLASSES, "d1"), str(versions / "200"))
    (versions / "99").mkdir()
    (versions / "99" / "saved_model.pb").write_bytes(b"broken")
    return output


@pytest.fixture(scope="session")
def familiar_model(
    tmp_path_factory: pytest.TempPathFactory, _served: tuple[tf.keras.Sequential, tft.TFTransformOutput]
) -> Path:
    """A model that says how familiar photos are: red ones by 0.5, others not at all."""
    red = Familiarity.directions(tf.constant([[200.0, 30, 30] * 4]) / 255).numpy()
    path = tmp_path_factory.mktemp("familiar")
    familiarity = Familiarity(red, np.zeros(1, "f4"), np.array([0.99, 0.99, 1.1, 1.1], "f4"))
    export(ServingModel(*_served, CLASSES, "d1", familiarity), str(path))
    return path
