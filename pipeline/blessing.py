"""Configuration of the Evaluators: metrics, thresholds of the blessing, and the baseline."""

import json

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common import importer, resolver
from tfx.types import standard_artifacts

from components.baseline_reader import BaselineReader
from components.contracts import LABEL_KEY
from components.contracts.artifact_types import Drift
from components.contracts.evaluation import ACCURACY, LOSS
from components.contracts.nodes import BASELINE_IMPORTER, BASELINE_RESOLVER
from components.drift_detector.component import DriftDetector
from components.evaluator.baseline import LatestOtherBlessedModelStrategy
from components.evaluator.metrics import CLASS_KEY, CONFUSION_MATRIX
from components.evaluator.thresholds import ONE_CLASS_METRICS, OWN_METRICS, Threshold
from components.modeling.serving import RAW_EXAMPLES_SIGNATURE
from pipeline.config import NO_BASELINE, PUSHED_BASELINE, RESOLVER_BASELINE, BlessingConfig, PipelineConfig

_METRICS_MODULE = "components.evaluator.classification_metrics"
_PREDICTION_KEY = "probabilities"
# At threshold 0 the most probable class always counts as the prediction.
_CONFUSION_MATRIX_CONFIG = f'"name": "{CONFUSION_MATRIX}", "thresholds": [0.0]'


def build_eval_config(blessing: BlessingConfig | None = None) -> config_pb2.EvalConfig:
    """Builds the configuration of an Evaluator; without `blessing` there is no decision.

    Metrics are accuracy, cross-entropy and confusion matrix, over all examples and per true class, and those with a
    threshold. Classes are named: the Evaluator, which knows those of the run, resolves them (`resolve_classes`).
    """
    metrics = {
        ACCURACY: _metric(ACCURACY),
        LOSS: _metric(LOSS),
        "count": config_pb2.MetricConfig(class_name="ExampleCount"),
        CONFUSION_MATRIX: config_pb2.MetricConfig(
            class_name="MultiClassConfusionMatrixAtThresholds", config=_CONFUSION_MATRIX_CONFIG
        ),
    }
    for threshold in blessing.thresholds() if blessing else []:
        of_class, of_slice = threshold.class_name, {}
        if of_class is not None and threshold.metric not in ONE_CLASS_METRICS:
            of_class, of_slice = None, {LABEL_KEY: of_class}
        name = threshold.metric if of_class is None else f"{threshold.metric}[{of_class}]"
        metric = metrics.setdefault(name, _metric(threshold.metric, name, of_class))
        spec = config_pb2.SlicingSpec(feature_values=of_slice)
        metric.per_slice_thresholds.append(_metric_threshold(threshold, spec))
    # Without a type, TFMA loads the whole model to find it out.
    model = config_pb2.ModelSpec(
        signature_name=RAW_EXAMPLES_SIGNATURE,
        label_key=LABEL_KEY,
        prediction_key=_PREDICTION_KEY,
        model_type=tfma.TF_GENERIC,
    )
    # An empty slicing spec is the whole split; the other one slices by true class.
    slices = [config_pb2.SlicingSpec(), config_pb2.SlicingSpec(feature_keys=[LABEL_KEY])]
    metrics_spec = config_pb2.MetricsSpec(metrics=list(metrics.values()))
    return config_pb2.EvalConfig(model_specs=[model], metrics_specs=[metrics_spec], slicing_specs=slices)


def _metric(metric: str, name: str = "", of_class: str | None = None) -> config_pb2.MetricConfig:
    config = {"name": name or metric} | ({} if of_class is None else {CLASS_KEY: of_class})
    text = json.dumps(config)[1:-1]
    if metric in OWN_METRICS:
        return config_pb2.MetricConfig(class_name=OWN_METRICS[metric], module=_METRICS_MODULE, config=text)
    return config_pb2.MetricConfig(class_name=metric, config=text)


def _metric_threshold(threshold: Threshold, spec: config_pb2.SlicingSpec) -> config_pb2.PerSliceMetricThreshold:
    if threshold.is_change:
        # Without a baseline, as in the first run, Evaluator removes the threshold on the change.
        better = config_pb2.MetricDirection
        direction = better.HIGHER_IS_BETTER if threshold.is_lower else better.LOWER_IS_BETTER
        change = config_pb2.GenericChangeThreshold(direction=direction, absolute={"value": threshold.bound})
        result = config_pb2.MetricThreshold(change_threshold=change)
    else:
        side = {"lower_bound" if threshold.is_lower else "upper_bound": {"value": threshold.bound}}
        result = config_pb2.MetricThreshold(value_threshold=config_pb2.GenericValueThreshold(**side))
    return config_pb2.PerSliceMetricThreshold(slicing_specs=[spec], threshold=result)


def baseline_node(config: PipelineConfig, trainer: base_node.BaseNode) -> base_node.BaseNode | None:
    """Returns the node whose `model` the Trainer's is compared with; None without a baseline."""
    if config.baseline == NO_BASELINE:
        return None
    if config.baseline == PUSHED_BASELINE:
        return BaselineReader(serving_model_dir=config.serving_model_dir, candidate=trainer.outputs["model"])
    if config.baseline != RESOLVER_BASELINE:
        model = importer.Importer(
            source_uri=config.baseline, artifact_type=standard_artifacts.Model, output_key="model"
        )
        return model.with_id(BASELINE_IMPORTER)
    latest = resolver.Resolver(
        strategy_class=LatestOtherBlessedModelStrategy,
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        candidate=trainer.outputs["model"],
        drift=types.Channel(type=Drift),
    )
    return latest.with_id(BASELINE_RESOLVER)


def drift_detector(
    baseline: base_node.BaseNode | None, examples: types.BaseChannel, features: types.BaseChannel
) -> base_node.BaseNode:
    """Returns the node that compares photos (raw `examples` and their `features`) with those of the baseline."""
    known = baseline.outputs if baseline else {}
    if "drift" in known:
        return DriftDetector(examples=examples, features=features, baseline_drift=known["drift"])
    return DriftDetector(examples=examples, features=features, baseline_model=known.get("model"))
