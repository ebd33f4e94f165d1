"""Thresholds of the blessing as users write them: `METRIC>=X`, `METRIC[CLASS]<=X`, `METRIC>=baseline-X`."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Final

from components.common.errors import UserError
from components.common.text import suggestion
from components.contracts.evaluation import ACCURACY, LOSS

# Classes in components.evaluator.classification_metrics; other names are metrics of TFMA or Keras.
OWN_METRICS: Final = {
    ACCURACY: "Accuracy", LOSS: "CrossEntropy",
    "precision": "ClassPrecision", "recall": "Accuracy", "f1_score": "ClassF1Score",
}  # fmt: skip
# For one class these need all photos; the other metrics use the photos of that class.
ONE_CLASS_METRICS: Final = ("precision", "f1_score")
ALL_CLASSES: Final = "*"
_MAX_NAMES: Final = 10
_FORM: Final = re.compile(
    r"\s*(?P<metric>\w+)\s*(?:\[(?P<class>[^\]]+)\])?\s*(?P<sign>>=|<=)"
    r"\s*(?:(?P<baseline>baseline)\s*(?P<change>[-+]\s*[\d.eE-]+)?|(?P<bound>[-+]?[\d.eE-]+))\s*"
)


@dataclasses.dataclass(frozen=True)
class Threshold:
    """What a metric must reach for a blessing."""

    metric: str  # a name in `OWN_METRICS`, or a metric class of TFMA or Keras
    class_name: str | None  # `*` for each class, None for all examples
    is_lower: bool  # whether `bound` is a lower bound, otherwise an upper one
    bound: float
    is_change: bool = False  # whether `bound` limits the difference from the baseline's metric

    @classmethod
    def parse(cls, text: str) -> "Threshold":
        """Parses a threshold; raises UserError for invalid syntax or an unknown metric."""
        found = _FORM.fullmatch(text)
        try:
            bound = float((found["bound"] or found["change"] or "0").replace(" ", "")) if found else 0.0
        except ValueError:
            found = None
        if not found:
            raise UserError(f"--bless {text!r} is not valid; use METRIC>=X, METRIC[CLASS]<=X or METRIC>=baseline-X")
        if found["metric"] in ("recall", *ONE_CLASS_METRICS) and not found["class"]:
            raise UserError(f"--bless {text!r} needs a class: {found['metric']}[CLASS], or [*] for each class")
        if found["metric"] not in OWN_METRICS:
            _check_library_metric(found["metric"])
        return cls(found["metric"], found["class"], found["sign"] == ">=", bound, bool(found["baseline"]))


def labels_of(class_name: str | None, class_names: Sequence[str]) -> Sequence[int | None]:
    """Returns the label of a class, all labels for `*`, and a single None for None; raises UserError for others."""
    if class_name is None:
        return [None]
    if class_name == ALL_CLASSES:
        return range(len(class_names))
    if class_name not in class_names:
        others = " ..." if len(class_names) > _MAX_NAMES else ""
        raise UserError(
            f"--bless names class {class_name}, which these photos do not have"
            f"{suggestion(class_name, class_names)}; the classes are {', '.join(class_names[:_MAX_NAMES])}{others}"
        )
    return [class_names.index(class_name)]


def _check_library_metric(name: str) -> None:
    if not name[0].isupper():
        raise _unknown_metric(name, OWN_METRICS)
    # These imports take seconds.
    import tf_keras
    from tensorflow_model_analysis.metrics import metric_types

    known = metric_types.registered_metrics().get(name) or getattr(tf_keras.metrics, name, None)
    if not isinstance(known, type):
        raise _unknown_metric(name, [*OWN_METRICS, *metric_types.registered_metrics(), *vars(tf_keras.metrics)])
    try:
        known(name=name)
    except TypeError as error:
        raise UserError(f"--bless cannot use {name}: it needs more than a name ({error})") from error


def _unknown_metric(name: str, known: Iterable[str]) -> UserError:
    return UserError(
        f"--bless names {name}, which is not a metric{suggestion(name, known)}; choose {', '.join(OWN_METRICS)}, or a "
        "class of tfma.metrics or tf.keras.metrics"
    )
