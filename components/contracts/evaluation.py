"""An Evaluator's results: files and custom properties of the ModelEvaluation artifact."""

import dataclasses
from collections.abc import Sequence
from typing import Final

METRICS_FILE: Final = "metrics.json"  # `EvaluationMetrics`
PREDICTIONS_FILE: Final = "predictions.jsonl"  # one `ExamplePrediction` a line

# Custom properties of the ModelEvaluation artifact.
SPLIT_PROPERTY: Final = "split"
ACCURACY: Final = "accuracy"  # float in [0, 1]; also the metric's name
LOSS: Final = "loss"  # float, mean cross-entropy in nats; also the metric's name
SERVING_DIFFERENCE_PROPERTY: Final = "serving_difference"  # see `EvaluationMetrics`

# Kinds of `ThresholdResult`, and its directions.
VALUE_THRESHOLD: Final = "value"
CHANGE_THRESHOLD: Final = "change"
LOWER: Final = "lower"
UPPER: Final = "upper"


@dataclasses.dataclass(frozen=True)
class ThresholdResult:
    """One threshold of the blessing, and how the model did."""

    metric: str  # name of the metric, with the class if it is about one: `loss`, `recall[daisy]`
    kind: str  # `value` (of the metric) or `change` (difference from the baseline's metric)
    direction: str  # whether `bound` is the `lower` or the `upper` one
    bound: float  # the smallest or largest value allowed
    passed: bool
    value: float | None  # the metric; None if it was not measured or is undefined
    baseline: float | None  # the baseline's metric, for a change

    @property
    def measured(self) -> float | None:
        """What is compared with the bound: the metric, or its difference from the baseline's."""
        if self.kind == VALUE_THRESHOLD or self.value is None:
            return self.value
        return None if self.baseline is None else self.value - self.baseline


def f1_score(hits: float, predicted: float, actual: float) -> float | None:
    """Harmonic mean of precision and recall, in [0, 1]; None for a class that is neither predicted nor present."""
    return 2 * hits / (predicted + actual) if predicted + actual else None


@dataclasses.dataclass(frozen=True)
class ClassMetrics:
    """One class against the rest, in [0, 1]; the prediction is the most probable class."""

    name: str
    examples: int
    precision: float | None  # None if the class is never predicted
    recall: float | None  # None without examples
    f1_score: float | None  # see the function `f1_score`


@dataclasses.dataclass(frozen=True)
class ModelMetrics:
    """One model's metrics over one split."""

    split: str
    examples: int
    accuracy: float  # in [0, 1]
    loss: float  # mean cross-entropy in nats; NaN when training diverged
    classes: Sequence[ClassMetrics]  # in label order
    confusion_matrix: Sequence[Sequence[int]]  # counts; rows true, columns predicted, in label order

    @property
    def correct(self) -> int:
        """Examples classified correctly."""
        return sum(row[index] for index, row in enumerate(self.confusion_matrix))

    def value(self, metric: str) -> float | None:
        """Returns a metric over the whole split by its name; None for any other metric."""
        return {ACCURACY: self.accuracy, LOSS: self.loss}.get(metric)


@dataclasses.dataclass(frozen=True)
class EvaluationMetrics(ModelMetrics):
    """Content of `metrics.json`: the candidate's metrics, thresholds and baseline."""

    baseline: ModelMetrics | None  # on the same examples
    thresholds: Sequence[ThresholdResult]  # empty without a blessing
    serving_difference: float  # largest difference in probability between the evaluated and the served model
    ignored_baseline_classes: Sequence[str] | None = None  # of a baseline that was ignored because they differ


@dataclasses.dataclass(frozen=True)
class ExamplePrediction:
    """A model's prediction for one example."""

    id: str
    label: int  # the true class
    probabilities: Sequence[float]  # in label order
    digest: str = ""  # see `PHOTO_DIGEST_KEY`; empty in output of earlier versions

    @property
    def photo(self) -> tuple[str, str]:
        """Identifies the photo across models: a photo may change under its name."""
        return self.id, self.digest

    @property
    def predicted(self) -> int:
        """The class with the highest probability; the first of equal ones."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """The highest probability."""
        return self.probabilities[self.predicted]

    @property
    def label_probability(self) -> float:
        """The true class's probability."""
        return self.probabilities[self.label]

    @property
    def correct(self) -> bool:
        """Whether the most probable class is the true one."""
        return self.predicted == self.label
