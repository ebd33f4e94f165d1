"""What Tuner and Trainer leave: files in the ModelRun artifact, and custom properties."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

CURVE_FILE: Final = "history.json"  # JSON list of `EpochResult`
FINE_TUNING_FILE: Final = "fine_tuning.json"  # `FineTuningOutcome`, of the Trainer that fine-tunes

# Custom properties of the HyperParameters artifact of a search.
TUNED_VALUES_PROPERTY: Final = "tuned_values"  # JSON {name: value}
VALIDATION_ACCURACY_PROPERTY: Final = "validation_accuracy"  # the best trial's, in [0, 1]
TRIALS_PROPERTY: Final = "trials"  # int


@dataclasses.dataclass(frozen=True)
class EpochResult:
    """One epoch's streaming means over the training and the validation split; epochs count from 1."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


def best_epoch(curve: Sequence[EpochResult]) -> int:
    """Returns the index of the highest validation accuracy; among equals, of the lowest validation loss."""
    return max(range(len(curve)), key=lambda i: (curve[i].validation_accuracy, -curve[i].validation_loss))


@dataclasses.dataclass(frozen=True)
class FineTuningOutcome:
    """What fine-tuning led to.

    Attributes:
        accuracy_before: Validation accuracy of the classifier that it started from.
        accuracy_after: Validation accuracy of its best epoch.
        kept: False when no epoch was as good as the start, and the model is the one that it started from.
        epochs: How many there were; 0 in models that are older than this field.
    """

    accuracy_before: float
    accuracy_after: float
    kept: bool
    epochs: int = 0


@dataclasses.dataclass(frozen=True)
class TuningResult:
    """What a search found.

    Attributes:
        values: The best trial's hyperparameters.
        validation_accuracy: The best trial's, in [0, 1].
        trials: How many there were.
    """

    values: Mapping[str, float]
    validation_accuracy: float
    trials: int
