"""The language of bounds on metrics: `METRIC>=X`, `METRIC[CLASS]<=X`, `METRIC>=baseline-X`."""

import dataclasses
import re
from typing import Final

from components.common.errors import UserError
from components.contracts.evaluation import ACCURACY, LOSS

# Measured by classes of components.evaluator.classification_metrics; other names are TFMA's or Keras'.
OWN_METRICS: Final = {
    ACCURACY: "Accuracy", LOSS: "CrossEntropy",
    "precision": "ClassPrecision", "recall": "Accuracy", "f1_score": "ClassF1Score",
}  # fmt: skip
# Other classes' photos count in these; the others are measured on the photos of a class alone.
ONE_CLASS_METRICS: Final = ("precision", "f1_score")
_FORM: Final = re.compile(
    r"\s*(?P<metric>\w+)\s*(?:\[(?P<class>[^\]]+)\])?\s*(?P<sign>>=|<=)"
    r"\s*(?:(?P<baseline>baseline)\s*(?P<change>[-+]\s*[\d.eE-]+)?|(?P<limit>[-+]?[\d.eE-]+))\s*"
)


@dataclasses.dataclass(frozen=True)
class Bound:
    """What a metric has to reach.

    Attributes:
        metric: A name of `OWN_METRICS`, or of a metric class of TFMA or Keras.
        class_name: The class that it is about; `*` is each class; None is all examples.
        is_lower: Whether the metric must be at least, not at most, the limit.
        limit: The limit.
        is_change: Whether the limit is on the difference to the baseline's metric.
    """

    metric: str
    class_name: str | None
    is_lower: bool
    limit: float
    is_change: bool = False

    @classmethod
    def parse(cls, text: str) -> "Bound":
        """Reads a bound; raises UserError for one that is not understood, or on what is no metric."""
        found = _FORM.fullmatch(text)
        try:
            limit = float((found["limit"] or found["change"] or "0").replace(" ", "")) if found else 0.0
        except ValueError:
            found = None
        if not found:
            raise UserError(
                f"--bless {text!r} is not understood; give METRIC>=X, METRIC[CLASS]<=X or METRIC>=baseline-X"
            )
        if found["metric"] in ("recall", *ONE_CLASS_METRICS) and not found["class"]:
            raise UserError(f"--bless {text!r} needs a class: {found['metric']}[CLASS], or [*] for each class")
        if found["metric"] not in OWN_METRICS:
            _check_library_metric(found["metric"])
        return cls(found["metric"], found["class"], found["sign"] == ">=", limit, bool(found["baseline"]))


def _check_library_metric(name: str) -> None:
    # Seconds of imports, which only a bound on a library's metric has to wait for.
    import tf_keras
    from tensorflow_model_analysis.metrics import metric_types

    known = metric_types.registered_metrics().get(name) or getattr(tf_keras.metrics, name, None)
    if not isinstance(known, type):
        raise UserError(
            f"--bless names {name}, which is no metric; choose {', '.join(OWN_METRICS)}, or a class of tfma.metrics or "
            "tf.keras.metrics"
        )
    try:
        known(name=name)
    except TypeError as error:
        raise UserError(f"--bless cannot take {name}: it needs more than a name ({error})") from error
