"""Thresholds of a blessing, decided by TFMA on a few examples."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.api import model_eval_lib

from components.common.errors import UserError
from components.contracts.evaluation import ThresholdResult
from components.evaluator.metrics import resolve_classes, threshold_results
from pipeline.blessing import build_eval_config
from pipeline.config import BlessingConfig

_CLASSES = ("daisy", "roses", "tulips", "lilies")
_PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.0, 0.1, 0.9], [0.2, 0.7, 0.1]], np.float32)
_LABELS = (0, 1, 2, 1)  # one of the two roses is taken for a tulip


def _example(label: int, probabilities: np.ndarray) -> bytes:
    features = {
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "probabilities": tf.train.Feature(float_list=tf.train.FloatList(value=probabilities)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


_THRESHOLDS = (
    "loss<=1", "recall[*]>=0.5", "precision[tulips]>=0.5", "SparseCategoricalAccuracy>=0.7", "ExampleCount[*]>=1",
    "loss<=0.1", "recall[*]>=0.6", "precision[tulips]>=0.6", "f1_score[roses]>=0.7",
    "SparseCategoricalAccuracy[roses]>=0.6", "ExampleCount<=3", "precision[lilies]>=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[ThresholdResult]:
    """All thresholds on a few examples, of which none is a lily; decided by TFMA in one evaluation."""
    folder = tmp_path_factory.mktemp("evaluation")
    with tf.io.TFRecordWriter(str(folder / "examples")) as writer:
        for label, probabilities in zip(_LABELS, _PROBABILITIES, strict=True):
            writer.write(_example(label, probabilities))
    config = resolve_classes(build_eval_config(BlessingConfig(min_accuracy=0.5, bless=_THRESHOLDS)), _CLASSES)
    config.model_specs[0].ClearField("signature_name")
    config.model_specs[0].ClearField("model_type")
    for metric in config.metrics_specs[0].metrics:
        for entry in metric.per_slice_thresholds:
            # As Evaluator does without a baseline.
            entry.threshold.ClearField("change_threshold")
    path = str(folder / "results")
    model_eval_lib.run_model_analysis(eval_config=config, data_location=str(folder / "examples"), output_path=path)
    assert not tfma.load_validation_result(path).validation_ok
    return threshold_results(path, _CLASSES)


def _missed(results: list[ThresholdResult]) -> dict[tuple[str, float], float | None]:
    return {(result.metric, result.bound): result.value for result in results if not result.passed}


def test_every_threshold_has_a_result(results: list[ThresholdResult]) -> None:
    per_class = sum("*" in threshold for threshold in _THRESHOLDS)
    assert len(results) == 1 + len(_THRESHOLDS) + (len(_CLASSES) - 1) * per_class


def test_missed_thresholds_are_named_with_what_was_measured(results: list[ThresholdResult]) -> None:
    found = {key: value for key, value in _missed(results).items() if "lilies" not in key[0]}
    assert found.pop(("loss", 0.1)) == pytest.approx(-np.log([0.7, 0.2, 0.9, 0.7]).mean(), rel=1e-5)
    assert found == {
        ("recall[roses]", 0.6): 0.5, ("precision[tulips]", 0.6): 0.5, ("f1_score[roses]", 0.7): pytest.approx(2 / 3),
        ("SparseCategoricalAccuracy[roses]", 0.6): 0.5, ("ExampleCount", 3.0): 4.0,
    }  # fmt: skip


def test_a_class_without_test_photos_fails_its_thresholds(results: list[ThresholdResult]) -> None:
    found = {key: value for key, value in _missed(results).items() if "lilies" in key[0]}
    assert found == {
        ("recall[lilies]", 0.5): None, ("recall[lilies]", 0.6): None, ("ExampleCount[lilies]", 1.0): None,
        ("precision[lilies]", 0.0): None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ("accuracy>0.5", "is not valid; use METRIC>=X"),
        ("loss<=", "is not valid"),
        ("loss<=baseline0.1", "is not valid"),
        ("recall>=0.5", "needs a class"),
        ("Acuracy>=0.5", "Acuracy, which is not a metric"),
        ("PrecisionAtRecall>=0.5", "PrecisionAtRecall: it needs more than a name"),
        ("accuraccy>=0.5", "accuraccy, which is not a metric .did you mean accuracy"),
        ("sparseCategoricalAccuracy>=0.5", "which is not a metric"),
        ("recall[rose]>=0.5", "class rose, which .* not have .did you mean roses.*; the classes are daisy, roses, tu"),
        ("precision[lily]>=0.5", "class lily, which these photos do not have"),
    ],
)
def test_invalid_thresholds_are_refused_in_one_line(threshold: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve_classes(build_eval_config(BlessingConfig(bless=(threshold,))), _CLASSES)


def test_a_threshold_on_the_change_to_the_baseline() -> None:
    config = build_eval_config(BlessingConfig(bless=("loss <= baseline + 0.05",)))
    (loss,) = (metric for metric in config.metrics_specs[0].metrics if metric.class_name == "CrossEntropy")
    (entry,) = loss.per_slice_thresholds
    assert entry.threshold.change_threshold.absolute.value == 0.05
    assert entry.threshold.change_threshold.direction == 1  # lower is better


def test_a_compiled_bound_is_about_the_class_of_that_name_in_each_run() -> None:
    """A compiled pipeline may run on photos with other classes, in another order."""
    compiled = build_eval_config(BlessingConfig(bless=("recall[roses]>=0.5", "precision[roses]>=0.6")))
    assert "roses" in str(compiled)
    for classes, label in ((["daisy", "roses"], 1), (["acorns", "daisy", "roses"], 2)):
        metrics = resolve_classes(compiled, classes).metrics_specs[0].metrics
        settings = [json.loads(f"{{{metric.config}}}") for metric in metrics]
        named = {entry.get("name"): metric for entry, metric in zip(settings, metrics, strict=True)}
        (recall,) = named["recall"].per_slice_thresholds
        assert dict(recall.slicing_specs[0].feature_values) == {"label": str(label)}
        assert {"name": "precision[roses]", "label_id": label} in settings
    with pytest.raises(UserError, match="class roses, which these photos do not have; the classes are cat, dog"):
        resolve_classes(compiled, ["cat", "dog"])
