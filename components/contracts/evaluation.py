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
    """One threshold of the blessing, and how the model did.

    Attributes:
        metric: Name of the metric, with the class if it is about one: `loss`, `recall[daisy]`.
        kind: `value` (of the metric) or `change` (difference from the baseline's metric).
        direction: Whether `bound` is the `lower` or the `upper` one.
        bound: The smallest or largest value allowed.
        passed: Whether the model met it.
        value: The metric; None if it was not measured or is undefined.
        baseline: The baseline's metric, for a change.
    """

    metric: str
    kind: str
    direction: str
    bound: float
    passed: bool
    value: float | None
    baseline: float | None

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
    """One class against the rest; the prediction is the most probable class.

    Attributes:
        name: The class.
        examples: Number of its examples.
        precision: In [0, 1]; None if the class is never predicted.
        recall: In [0, 1]; None without examples.
        f1_score: See the function `f1_score`.
    """

    name: str
    examples: int
    precision: float | None
    recall: float | None
    f1_score: float | None


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
    """Content of `metrics.json`: the candidate's metrics, thresholds and baseline.

    Attributes:
        baseline: The baseline's metrics on the same examples; None without a baseline.
        thresholds: Empty without a blessing.
        serving_difference: Largest difference in probability between the evaluated and the served model.
        ignored_baseline_classes: The classes of a baseline that was ignored because they differ.
    """

    baseline: ModelMetrics | None
    thresholds: Sequence[ThresholdResult]
    serving_difference: float
    ignored_baseline_classes: Sequence[str] | None = None


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
