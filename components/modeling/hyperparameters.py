"""Hyperparameters of the classifier's head, its training and the fine-tuning after it.

Carried to `run_fn` in the Trainer's `custom_config`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from components.common.settings import check_settings, setting

REFERENCE: Final = "reference"
STRONG: Final = "strong"


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """How the head is shaped and trained; the defaults are the reference recipe's."""

    recipe: str = setting(
        REFERENCE,
        "reference: dense layers; strong: a kernel machine beside them, and calibrated probabilities.",
        choices=(REFERENCE, STRONG),
        default_text="the preset's; reference with --fine-tune",
    )
    epochs: int = setting(10, "Passes over the training split.", minimum=1, per_run=True)
    batch_size: int = setting(32, "Photos per training step, over all replicas.", minimum=1, per_run=True)
    learning_rate: float = setting(1e-3, "Adam's learning rate.", above=0, per_run=True)
    hidden_units: int = setting(512, "Units of the hidden layer.", minimum=1, per_run=True)
    early_stopping_patience: int = setting(
        0, "Epochs without a better validation accuracy before training stops; 0: never.", minimum=0
    )
    seed: int = setting(0, "Same seed, same machine, same curve.")
    log_every_steps: int = setting(10, "Steps between two reports of training loss and accuracy.", minimum=1, flag=None)

    def __post_init__(self) -> None:
        check_settings(self)

    def to_dict(self) -> dict[str, Any]:
        """Returns the values as a JSON-serialisable dictionary."""
        return dataclasses.asdict(self)

    def with_tuned(self, values: Mapping[str, Any]) -> "Hyperparameters":
        """Returns a copy with the values that a search found."""
        return dataclasses.replace(self, **values)


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """How the whole classifier is trained on once its head is; the rest is as in `Hyperparameters`."""

    epochs: int = setting(3, "Passes over the training split.", minimum=1)
    # Far below the head's, to keep what the backbone knows.
    learning_rate: float = setting(1e-5, "Adam's learning rate.", above=0)
    layers: int = setting(0, "Only the backbone's last N layers; 0: all of them.", minimum=0, metavar="N")

    def __post_init__(self) -> None:
        check_settings(self, "fine_tune_")

    def to_dict(self) -> dict[str, Any]:
        """Returns the values as a JSON-serialisable dictionary."""
        return dataclasses.asdict(self)
