"""Hyperparameters of the classifier's head, its training and the fine-tuning after it.

Built by `pipeline.presets`, carried to `run_fn` in the Trainer's `custom_config`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from components.common.errors import UserError


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """How the head is shaped and trained; the defaults are the reference recipe's.

    Attributes:
        hidden_units: Units of the hidden Dense layer, at least 1.
        learning_rate: Adam's learning rate, greater than 0.
        batch_size: Photos per training step over all replicas, at least 1.
        epochs: Passes over the training split, at least 1.
        early_stopping_patience: Epochs without a better validation accuracy before training stops; 0 never stops.
        log_every_steps: Steps between two reports of training loss and accuracy, at least 1.
        seed: Seeds initial weights and the order of the examples.
    """

    hidden_units: int = 512
    learning_rate: float = 1e-3
    batch_size: int = 32
    epochs: int = 10
    early_stopping_patience: int = 0
    log_every_steps: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden_units", "batch_size", "epochs", "log_every_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")
        _check_learning_rate("learning_rate", self.learning_rate)
        if self.early_stopping_patience < 0:
            raise UserError(f"early_stopping_patience is {self.early_stopping_patience}; it must be 0 (off) or more")

    def to_dict(self) -> dict[str, Any]:
        """Returns the values as a JSON-serialisable dictionary."""
        return dataclasses.asdict(self)

    def with_tuned(self, values: Mapping[str, Any]) -> "Hyperparameters":
        """Returns a copy with the values that a search found."""
        return dataclasses.replace(self, **values)


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """How the whole classifier is trained on once its head is; the rest is as in `Hyperparameters`.

    Attributes:
        learning_rate: Adam's learning rate, greater than 0; far below the head's, to keep what the backbone knows.
        epochs: Passes over the training split, at least 1.
        layers: Train only so many of the backbone's last layers; 0 trains all of them.
    """

    learning_rate: float = 1e-5
    epochs: int = 3
    layers: int = 0

    def __post_init__(self) -> None:
        _check_learning_rate("fine_tune_learning_rate", self.learning_rate)
        if self.epochs < 1:
            raise UserError(f"fine_tune_epochs is {self.epochs}; it must be at least 1")
        if self.layers < 0:
            raise UserError(f"fine_tune_layers is {self.layers}; it must be 0 (all) or more")

    def to_dict(self) -> dict[str, Any]:
        """Returns the values as a JSON-serialisable dictionary."""
        return dataclasses.asdict(self)


def _check_learning_rate(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise UserError(f"{name} is {value}; it must be greater than 0 and finite")
