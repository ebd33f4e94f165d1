"""TFMA's results as plain data, for `metrics.json` and the end of a run.

Called by Evaluator's executor.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow_model_analysis as tfma

from components.constants import LABEL_KEY

ACCURACY = "accuracy"
LOSS = "loss"
CONFUSION_MATRIX = "confusion_matrix"
PER_CLASS_METRICS = ("precision", "recall", "f1_score")


@dataclasses.dataclass(frozen=True)
class ThresholdFailure:
    """One bound that a metric missed.

    Attributes:
        metric: Name of the metric.
        kind: `value` (an absolute bound) or `change` (a bound on the difference to the baseline).
        bound: The lower bound.
        measured: The metric's value, or its difference to the baseline.
    """

    metric: str
    kind: str
    bound: float
    measured: float


def summarize(result: tfma.EvalResult, class_names: Sequence[str], split: str) -> dict[str, Any]:
    """Collects one model's metrics over one split.

    Args:
        result: TFMA's result for one model.
        class_names: The classes in label order.
        split: The split that was evaluated.

    Returns:
        `split`, `examples`, `accuracy`, `loss`, `classes` (per class: name, examples, precision, recall, f1_score) and
        `confusion_matrix` (rows true, columns predicted, in label order).
    """
    slices = dict(result.slicing_metrics)
    overall = _plain(slices[()][""][""])
    counts = {
        int(key[0][1]): int(_plain(metrics[""][""])["example_count"])
        for key, metrics in slices.items()
        if key and key[0][0] == LABEL_KEY
    }
    by_class = slices[()][""]
    return {
        "split": split,
        "examples": int(overall["example_count"]),
        "accuracy": overall[ACCURACY],
        "loss": overall[LOSS],
        "classes": [
            {"name": name, "examples": counts.get(index, 0)}
            | {metric: by_class[f"classId:{index}"][metric]["doubleValue"] for metric in PER_CLASS_METRICS}
            for index, name in enumerate(class_names)
        ],
        "confusion_matrix": _confusion_matrix(slices[()][""][""][CONFUSION_MATRIX], len(class_names)),
    }


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
                    "change" if is_change else "value",
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
