"""TFMA's configuration with the classes of a run, and its results as the records of `metrics.json`."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib as slicer

from components.contracts import LABEL_KEY
from components.contracts.evaluation import (
    ACCURACY,
    CHANGE_THRESHOLD,
    LOSS,
    LOWER,
    UPPER,
    VALUE_THRESHOLD,
    ClassMetrics,
    EvaluationMetrics,
    ModelMetrics,
    ThresholdResult,
    f1_score,
)
from components.evaluator.thresholds import labels_of

CONFUSION_MATRIX: Final = "confusion_matrix"
BASELINE: Final = "baseline"  # TFX's name of the model
CLASS_KEY: Final = "label_id"  # in the JSON of a metric of one class: the class's name, once resolved its label


def resolve_classes(config: config_pb2.EvalConfig, class_names: Sequence[str]) -> config_pb2.EvalConfig:
    """Returns a configuration with labels in place of classes, and every class in place of `*`.

    `class_names` are in label order; raises UserError if the configuration names another class.
    """
    resolved = config_pb2.EvalConfig()
    resolved.CopyFrom(config)
    for spec in resolved.metrics_specs:
        metrics: dict[tuple[str, str], config_pb2.MetricConfig] = {}
        for metric in (found for named in spec.metrics for found in _of_each_class(named, class_names)):
            same = metrics.setdefault((metric.class_name, metric.config), metric)
            if same is not metric:
                same.per_slice_thresholds.extend(metric.per_slice_thresholds)
        spec.ClearField("metrics")
        spec.metrics.extend(metrics.values())
    return resolved


def _of_each_class(metric: config_pb2.MetricConfig, class_names: Sequence[str]) -> Iterator[config_pb2.MetricConfig]:
    settings = json.loads(f"{{{metric.config}}}")
    of_class = settings.get(CLASS_KEY)
    for label in labels_of(of_class, class_names):
        own = config_pb2.MetricConfig()
        own.CopyFrom(metric)
        if label is not None:
            name = settings["name"].removesuffix(f"[{of_class}]")
            own.config = json.dumps({**settings, "name": f"{name}[{class_names[label]}]", CLASS_KEY: label})[1:-1]
        thresholds = [found for named in metric.per_slice_thresholds for found in _of_each_slice(named, class_names)]
        own.ClearField("per_slice_thresholds")
        own.per_slice_thresholds.extend(thresholds)
        yield own


def _of_each_slice(
    threshold: config_pb2.PerSliceMetricThreshold, class_names: Sequence[str]
) -> Iterator[config_pb2.PerSliceMetricThreshold]:
    for label in labels_of(threshold.slicing_specs[0].feature_values.get(LABEL_KEY), class_names):
        own = config_pb2.PerSliceMetricThreshold()
        own.CopyFrom(threshold)
        if label is not None:
            own.slicing_specs[0].feature_values[LABEL_KEY] = str(label)
        yield own


def load_metrics(
    path: str,
    class_names: Sequence[str],
    split: str,
    serving_difference: float,
    ignored_baseline_classes: Sequence[str] | None,
) -> EvaluationMetrics:
    """Reads TFMA's results from their folder; `class_names` are in label order."""
    names = [spec.name for spec in tfma.load_eval_result(path).config.model_specs]
    found = {name: _model_metrics(tfma.load_eval_result(path, model_name=name), class_names, split) for name in names}
    baseline = found.pop(BASELINE, None)
    (candidate,) = found.values()
    return EvaluationMetrics(
        **vars(candidate),
        baseline=baseline,
        thresholds=threshold_results(path, class_names),
        serving_difference=serving_difference,
        ignored_baseline_classes=ignored_baseline_classes,
    )


def _model_metrics(result: tfma.EvalResult, class_names: Sequence[str], split: str) -> ModelMetrics:
    slices = {key: metrics[""][""] for key, metrics in result.slicing_metrics}
    overall = _plain(slices[()])
    counts = {
        int(key[0][1]): int(_plain(metrics)["example_count"])
        for key, metrics in slices.items()
        if key and key[0][0] == LABEL_KEY
    }
    matrix = _confusion_matrix(slices[()][CONFUSION_MATRIX], len(class_names))
    return ModelMetrics(
        split=split,
        examples=int(overall["example_count"]),
        # TFMA writes the NaN of a training that diverged as text.
        accuracy=float(overall[ACCURACY]),
        loss=float(overall[LOSS]),
        classes=[class_metrics(name, counts.get(i, 0), matrix, i) for i, name in enumerate(class_names)],
        confusion_matrix=matrix,
    )


def class_metrics(name: str, examples: int, confusion_matrix: Sequence[Sequence[int]], label: int) -> ClassMetrics:
    """Measures one class from the confusion matrix (rows true, columns predicted).

    TFMA's own Precision and Recall count a class as predicted if its probability is above 0.5, which contradicts the
    confusion matrix with more than two classes.
    """
    correct = confusion_matrix[label][label]
    predicted = sum(row[label] for row in confusion_matrix)
    actual = sum(confusion_matrix[label])
    return ClassMetrics(
        name=name,
        examples=examples,
        precision=correct / predicted if predicted else None,
        recall=correct / actual if actual else None,
        f1_score=f1_score(correct, predicted, actual),
    )


def threshold_results(path: str, class_names: Sequence[str]) -> list[ThresholdResult]:
    """Returns TFMA's decision on each threshold; see `load_metrics`."""
    validation = tfma.load_validation_result(path)
    if validation is None:
        return []
    read_slice, read_key = slicer.deserialize_slice_key, metric_types.MetricKey.from_proto
    missed = {
        (read_slice(entry.slice_key), read_key(failure.metric_key), str(threshold))
        for entry in validation.metric_validations_per_slice
        for failure in entry.failures
        for threshold in (failure.metric_threshold.value_threshold, failure.metric_threshold.change_threshold)
    }
    measured = {
        (read_slice(entry.slice_key), read_key(pair.key)): pair.value
        for entry in tfma.load_metrics(path)
        for pair in entry.metric_keys_and_values
    }
    config = tfma.load_eval_result(path).config
    results = []
    for key, thresholds in metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, config).items():
        if key.model_name == BASELINE:
            continue
        for spec, threshold in thresholds:
            slice_key = tuple((name, int(label)) for name, label in spec.feature_values.items())
            value, baseline = (
                _number(measured.get((slice_key, key._replace(model_name=model, is_diff=False))))
                for model in (key.model_name, BASELINE)
            )
            # A slice without examples prevents the blessing, but is not among TFMA's failures.
            passed = value is not None and (slice_key, key, str(threshold)) not in missed
            name = key.name + "".join(f"[{class_names[label]}]" for _, label in slice_key)
            results.append(_threshold_result(name, threshold, passed, value, baseline if key.is_diff else None))
    return results


def _threshold_result(
    name: str, threshold: Any, passed: bool, value: float | None, baseline: float | None
) -> ThresholdResult:
    if isinstance(threshold, config_pb2.GenericChangeThreshold):
        is_lower = threshold.direction == config_pb2.MetricDirection.HIGHER_IS_BETTER
        kind, bound = CHANGE_THRESHOLD, threshold.absolute.value
    else:
        is_lower = threshold.HasField("lower_bound")
        kind, bound = VALUE_THRESHOLD, threshold.lower_bound.value if is_lower else threshold.upper_bound.value
    return ThresholdResult(name, kind, LOWER if is_lower else UPPER, bound, passed, value, baseline)


def _number(value: Any) -> float | None:
    """Returns TFMA's value as a number; None if it is missing or undefined."""
    return None if value is None or math.isnan(value.double_value.value) else value.double_value.value


def _plain(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: value["doubleValue"] for name, value in metrics.items() if "doubleValue" in value}


def _confusion_matrix(value: dict[str, Any], num_classes: int) -> list[list[int]]:
    matrix = [[0] * num_classes for _ in range(num_classes)]
    table = value["multiClassConfusionMatrixAtThresholds"]["matrices"][0]["entries"]
    for entry in table:
        # Protos omit zeros.
        actual, predicted = int(entry.get("actualClassId", 0)), int(entry.get("predictedClassId", 0))
        matrix[actual][predicted] = round(entry.get("numWeightedExamples", 0))
    return matrix
