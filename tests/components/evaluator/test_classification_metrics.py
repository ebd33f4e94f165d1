"""Accuracy and cross-entropy, run by TFMA on Beam, against Keras' values."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.api import model_eval_lib

from pipeline.blessing import build_eval_config

PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.4, 0.4, 0.2]], np.float32
)
LABELS = np.array([0, 1, 2, 1, 1])


def _example(label: int, probabilities: np.ndarray) -> bytes:
    features = {
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "probabilities": tf.train.Feature(float_list=tf.train.FloatList(value=probabilities)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The pipeline's own metrics over predictions that are in the examples."""
    folder: Path = tmp_path_factory.mktemp("evaluation")
    with tf.io.TFRecordWriter(str(folder / "examples")) as writer:
        for label, probabilities in zip(LABELS, PROBABILITIES, strict=True):
            writer.write(_example(label, probabilities))
    config = build_eval_config()
    config.model_specs[0].ClearField("signature_name")
    config.model_specs[0].ClearField("model_type")
    result = model_eval_lib.run_model_analysis(
        eval_config=config, data_location=str(folder / "examples"), output_path=str(folder / "results")
    )
    assert isinstance(result, tfma.EvalResult)
    overall = dict(result.slicing_metrics)[()][""][""]
    return {name: value["doubleValue"] for name, value in overall.items() if "doubleValue" in value}


def test_accuracy_takes_the_first_of_equal_probabilities(metrics: dict[str, float]) -> None:
    assert metrics["accuracy"] == 2 / 5


def test_loss_is_that_of_keras_even_for_probabilities_of_zero_and_one(metrics: dict[str, float]) -> None:
    keras = tf.keras.losses.SparseCategoricalCrossentropy()(LABELS, PROBABILITIES)
    assert metrics["loss"] == pytest.approx(float(keras), rel=1e-5)


def test_every_example_counts(metrics: dict[str, float]) -> None:
    assert metrics["example_count"] == len(LABELS)
