"""A pushed model as the pipeline leaves it, for the commands that load one."""

from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tfx_bsl.public import tfxio

from components.common.schema import build_schema
from components.modeling.classifier import build_classifier
from components.modeling.head import build_head
from components.modeling.serving import ServingModel, export
from components.transform.preprocessing import preprocessing_fn

CLASSES = ["blue", "green", "red"]


@pytest.fixture(scope="session")
def pushed_output(
    tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path, encode_image: Callable[..., bytes]
) -> Path:
    """An output folder with version 200 of a real model, and an older version that cannot be loaded."""
    root = tmp_path_factory.mktemp("pushed")
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
    classifier = build_classifier(str(tiny_backbone), (16, 16), head)
    model = ServingModel(classifier, tft.TFTransformOutput(str(root / "transform")), CLASSES, "d1")
    versions = root / "output" / "serving_model" / "flowers"
    export(model, str(versions / "200"))
    (versions / "99").mkdir()
    (versions / "99" / "saved_model.pb").write_bytes(b"broken")
    return root / "output"
