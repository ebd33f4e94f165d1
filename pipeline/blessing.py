"""What TFMA measures, and what a model has to reach to be blessed."""

import tensorflow_model_analysis as tfma

from components.common.contracts import LABEL_KEY
from components.common.contracts.evaluation import ACCURACY, LOSS
from components.evaluator.metrics import CONFUSION_MATRIX
from components.modeling.serving import FEATURE_EXAMPLES_SIGNATURE
from pipeline.config import BlessingConfig

_METRICS_MODULE = "components.evaluator.classification_metrics"
_PREDICTION_KEY = "probabilities"
# At threshold 0 the most probable class always counts as the prediction.
_CONFUSION_MATRIX_CONFIG = f'"name": "{CONFUSION_MATRIX}", "thresholds": [0.0]'


def build_eval_config(blessing: BlessingConfig | None = None) -> tfma.EvalConfig:
    """Builds the configuration of an Evaluator.

    Metrics: accuracy, cross-entropy and confusion matrix, over all examples and per true class. Precision, recall and
    F1 per class follow from the confusion matrix (see `components.evaluator.metrics`).

    Args:
        blessing: Thresholds on overall accuracy; None measures without deciding on a blessing.

    Returns:
        A config for models that take feature examples and return `probabilities` [N, C].
    """
    accuracy = _classification_metric("Accuracy", ACCURACY)
    if blessing:
        accuracy.per_slice_thresholds.append(_overall_threshold(blessing))
    overall = tfma.MetricsSpec(
        metrics=[
            accuracy,
            _classification_metric("CrossEntropy", LOSS),
            tfma.MetricConfig(class_name="ExampleCount"),
            tfma.MetricConfig(class_name="MultiClassConfusionMatrixAtThresholds", config=_CONFUSION_MATRIX_CONFIG),
        ]
    )
    # Left out, TFMA loads the whole model once more to find the type out.
    model = tfma.ModelSpec(
        signature_name=FEATURE_EXAMPLES_SIGNATURE,
        label_key=LABEL_KEY,
        prediction_key=_PREDICTION_KEY,
        model_type=tfma.TF_GENERIC,
    )
    # An empty slicing spec is the whole split; the other one slices by true class.
    slices = [tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=[LABEL_KEY])]
    return tfma.EvalConfig(model_specs=[model], metrics_specs=[overall], slicing_specs=slices)


def _classification_metric(class_name: str, name: str) -> tfma.MetricConfig:
    return tfma.MetricConfig(class_name=class_name, module=_METRICS_MODULE, config=f'"name": "{name}"')


def _overall_threshold(blessing: BlessingConfig) -> tfma.PerSliceMetricThreshold:
    # Without a baseline (the first run) TFX's Evaluator leaves the change threshold out.
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": blessing.min_accuracy}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -blessing.max_accuracy_drop}
        ),
    )
    return tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)
