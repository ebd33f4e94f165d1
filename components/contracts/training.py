"""Results of Tuner and Trainer: files of the ModelRun artifact, and custom properties."""

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
    """The result of fine-tuning."""

    accuracy_before: float  # validation accuracy of the initial classifier
    accuracy_after: float  # validation accuracy of the best epoch
    kept: bool  # False if no epoch was as good as the initial classifier, which is then the model
    epochs: int = 0  # 0 in output of earlier versions


@dataclasses.dataclass(frozen=True)
class TuningResult:
    """The best trial of a hyperparameter search."""

    values: Mapping[str, float]
    validation_accuracy: float
    trials: int  # number of all trials
