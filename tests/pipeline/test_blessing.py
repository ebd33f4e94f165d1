"""Bounds of a blessing, decided by TFMA on a few examples."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.api import model_eval_lib

from components.common.errors import UserError
from components.evaluator.metrics import threshold_results
from pipeline.blessing import build_eval_config
from pipeline.config import BlessingConfig

_CLASSES = ("daisy", "roses", "tulips")
_PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.0, 0.1, 0.9], [0.2, 0.7, 0.1]], np.float32)
_LABELS = (0, 1, 2, 1)  # one of the two roses is taken for a tulip


def _example(label: int, probabilities: np.ndarray) -> bytes:
    features = {
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "probabilities": tf.train.Feature(float_list=tf.train.FloatList(value=probabilities)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture
def missed(tmp_path: Path) -> Callable[..., dict[str, float | None]]:
    """Evaluates with bounds; returns the metrics that missed theirs, with their values."""

    def evaluate(*bounds: str, classes: tuple[str, ...] = _CLASSES) -> dict[str, float | None]:
        with tf.io.TFRecordWriter(str(tmp_path / "examples")) as writer:
            for label, probabilities in zip(_LABELS, _PROBABILITIES, strict=True):
                writer.write(_example(label, probabilities))
        config = build_eval_config(BlessingConfig(min_accuracy=0.5, bless=bounds), classes)
        config.model_specs[0].ClearField("signature_name")
        config.model_specs[0].ClearField("model_type")
        for metric in config.metrics_specs[0].metrics:
            for entry in metric.per_slice_thresholds:
                # As TFX does without a baseline.
                entry.threshold.ClearField("change_threshold")
        path = str(tmp_path / "results")
        model_eval_lib.run_model_analysis(
            eval_config=config, data_location=str(tmp_path / "examples"), output_path=path
        )
        results = threshold_results(path, classes)
        assert len(results) == 1 + len(bounds) + (len(classes) - 1) * sum("*" in bound for bound in bounds)
        assert tfma.load_validation_result(path).validation_ok == all(result.passed for result in results)
        return {result.metric: result.value for result in results if not result.passed}

    return evaluate


def test_bounds_that_are_met(missed: Callable[..., dict[str, float | None]]) -> None:
    assert (
        missed(
            "loss<=1",
            "recall[*]>=0.5",
            "precision[tulips]>=0.5",
            "SparseCategoricalAccuracy>=0.7",
            "ExampleCount[*]>=1",
        )
        == {}
    )


def test_bounds_that_are_missed_are_named_with_what_was_measured(
    missed: Callable[..., dict[str, float | None]],
) -> None:
    found = missed(
        "loss<=0.1", "recall[*]>=0.6", "precision[tulips]>=0.6", "f1_score[roses]>=0.7",
        "SparseCategoricalAccuracy[roses]>=0.6", "ExampleCount<=3",
    )  # fmt: skip
    assert found.pop("loss") == pytest.approx(-np.log([0.7, 0.2, 0.9, 0.7]).mean(), rel=1e-5)
    assert found == {
        "recall[roses]": 0.5, "precision[tulips]": 0.5, "f1_score[roses]": pytest.approx(2 / 3),
        "SparseCategoricalAccuracy[roses]": 0.5, "ExampleCount": 4.0,
    }  # fmt: skip


def test_a_class_without_test_photos_meets_no_bound(missed: Callable[..., dict[str, float | None]]) -> None:
    found = missed("recall[*]>=0", "precision[lilies]>=0", classes=(*_CLASSES, "lilies"))
    assert found == {"recall[lilies]": None, "precision[lilies]": None}


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("accuracy>0.5", "is not valid; use METRIC>=X"),
        ("loss<=", "is not valid"),
        ("loss<=baseline0.1", "is not valid"),
        ("recall>=0.5", "needs a class"),
        ("Acuracy>=0.5", "Acuracy, which is not a metric"),
        ("PrecisionAtRecall>=0.5", "PrecisionAtRecall: it needs more than a name"),
        ("recall[lily]>=0.5", "names class lily; the classes are daisy, roses, tulips"),
    ],
)
def test_what_cannot_be_a_bound_is_said_in_one_line(bound: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_eval_config(BlessingConfig(bless=(bound,)), _CLASSES)


def test_a_bound_on_the_change_to_the_baseline() -> None:
    config = build_eval_config(BlessingConfig(bless=("loss <= baseline + 0.05",)), _CLASSES)
    (loss,) = (metric for metric in config.metrics_specs[0].metrics if metric.class_name == "CrossEntropy")
    (entry,) = loss.per_slice_thresholds
    assert entry.threshold.change_threshold.absolute.value == 0.05
    assert entry.threshold.change_threshold.direction == 1  # lower is better
