"""TFMA's results as the plain data that `metrics.json` holds."""

from collections.abc import Sequence
from typing import Any, Final

import tensorflow_model_analysis as tfma

from components.common.contracts import LABEL_KEY
from components.common.contracts.evaluation import (
    ACCURACY,
    CHANGE_THRESHOLD,
    LOSS,
    VALUE_THRESHOLD,
    ClassMetrics,
    ModelMetrics,
    ThresholdFailure,
)

CONFUSION_MATRIX: Final = "confusion_matrix"


def summarize(result: tfma.EvalResult, class_names: Sequence[str], split: str) -> ModelMetrics:
    """Collects one model's metrics over one split.

    Args:
        result: TFMA's result for one model.
        class_names: The classes in label order.
        split: The split that was evaluated.

    Returns:
        The metrics.
    """
    slices = dict(result.slicing_metrics)
    overall = _plain(slices[()][""][""])
    counts = {
        int(key[0][1]): int(_plain(metrics[""][""])["example_count"])
        for key, metrics in slices.items()
        if key and key[0][0] == LABEL_KEY
    }
    matrix = _confusion_matrix(slices[()][""][""][CONFUSION_MATRIX], len(class_names))
    return ModelMetrics(
        split=split,
        examples=int(overall["example_count"]),
        # TFMA writes numbers that are none as text: a loss that diverged is "NaN".
        accuracy=float(overall[ACCURACY]),
        loss=float(overall[LOSS]),
        classes=[class_metrics(name, counts.get(i, 0), matrix, i) for i, name in enumerate(class_names)],
        confusion_matrix=matrix,
    )


def class_metrics(name: str, examples: int, confusion_matrix: Sequence[Sequence[int]], label: int) -> ClassMetrics:
    """Measures one class against the rest, the most probable class being the prediction.

    TFMA's own Precision and Recall count a class as predicted when its probability is above 0.5, which for more than
    two classes contradicts the confusion matrix; so these are taken from that matrix.

    Args:
        name: The class.
        examples: Its examples.
        confusion_matrix: Counts, rows true, columns predicted.
        label: The class's index.

    Returns:
        The metrics; None where one is not defined.
    """
    correct = confusion_matrix[label][label]
    predicted = sum(row[label] for row in confusion_matrix)
    actual = sum(confusion_matrix[label])
    return ClassMetrics(
        name=name,
        examples=examples,
        precision=correct / predicted if predicted else None,
        recall=correct / actual if actual else None,
        f1_score=2 * correct / (predicted + actual) if predicted + actual else None,
    )


def threshold_failures(validation: tfma.ValidationResult) -> list[ThresholdFailure]:
    """Returns every bound that the model missed, as TFMA's validation says."""
    failures = []
    for slice_failures in validation.metric_validations_per_slice:
        for failure in slice_failures.failures:
            threshold = failure.metric_threshold
            is_change = failure.metric_key.is_diff
            bound = (
                threshold.change_threshold.absolute.value if is_change else threshold.value_threshold.lower_bound.value
            )
            failures.append(
                ThresholdFailure(
                    failure.metric_key.name,
                    CHANGE_THRESHOLD if is_change else VALUE_THRESHOLD,
                    bound,
                    failure.metric_value.double_value.value,
                )
            )
    return failures


def _plain(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: value["doubleValue"] for name, value in metrics.items() if "doubleValue" in value}


def _confusion_matrix(value: dict[str, Any], num_classes: int) -> list[list[int]]:
    matrix = [[0] * num_classes for _ in range(num_classes)]
    table = value["multiClassConfusionMatrixAtThresholds"]["matrices"][0]["entries"]
    for entry in table:
        # Protos leave out zeros.
        actual, predicted = int(entry.get("actualClassId", 0)), int(entry.get("predictedClassId", 0))
        matrix[actual][predicted] = round(entry.get("numWeightedExamples", 0))
    return matrix
