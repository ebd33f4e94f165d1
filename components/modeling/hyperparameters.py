"""Hyperparameters of the classifier's head, its training and the fine-tuning after it.

Carried to `run_fn` in the Trainer's `custom_config`.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from components.common.settings import check_settings, setting

REFERENCE: Final = "reference"
STRONG: Final = "strong"
AUTO_EPOCHS: Final = 0

Size = tuple[int, int]


def parse_size(text: str) -> Size:
    """Reads height and width in pixels, such as `224x224`; raises ValueError for anything else."""
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) > 0 and int(width) > 0):
        raise ValueError(f"{text!r} is not a size such as 224x224")
    return int(height), int(width)


def _parse_epochs(text: str) -> int:
    if text == "auto":
        return AUTO_EPOCHS
    if not (text.isdigit() and int(text)):
        raise ValueError(f"{text!r} is neither a number of epochs, such as 10, nor auto")
    return int(text)


def _parse_layers(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"{text!r} is not a number of layers, such as 20")
    return int(text)


def _parse_seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    found = re.fullmatch(rf"(\d+(?:\.\d+)?) ?([{''.join(units)}])", text)
    if not found:
        raise ValueError(f"{text!r} is not a time such as 10m, 90s or 1.5h")
    return float(found[1]) * units[found[2]]


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

    epochs: int = setting(
        10,
        "Passes over the training split; auto: as many as --budget has room for.",
        minimum=AUTO_EPOCHS,
        metavar="N|auto",
        default_text="10",
        parse=_parse_epochs,
    )
    budget: float = setting(
        600.0,
        "Time for fine-tuning with --fine-tune-epochs auto.",
        above=0,
        flag="--budget",
        metavar="TIME",
        default_text="10m",
        parse=_parse_seconds,
    )
    # Far below the head's, to keep what the backbone knows.
    learning_rate: float = setting(3e-4, "The backbone's peak learning rate.", above=0)
    head_learning_rate: float = setting(3e-3, "The head's peak learning rate.", above=0)
    weight_decay: float = setting(1e-3, "AdamW's, times the learning rate.", minimum=0)
    label_smoothing: float = setting(
        0.1, "Share of a label's weight that is spread over all classes.", minimum=0, maximum=0.9
    )
    min_crop: float = setting(
        0.35, "The smallest share of a photo's area that training sees at once.", minimum=0.05, maximum=1
    )
    mixup: float = setting(
        0.0, "How evenly training photos are mixed with one another: mixup's alpha, such as 0.2; 0: not.", minimum=0
    )
    ema_momentum: float = setting(
        0.0, "After each epoch weights become their moving average of this momentum; 0: not.", minimum=0, maximum=0.9999
    )
    image_size: Size | None = setting(
        None,
        "What training crops are resized to; validation and serving keep --image-size.",
        metavar="HxW",
        default_text="11/14 of the backbone's, if it takes any size",
        parse=parse_size,
    )
    layers: int | None = setting(
        None,
        "Only the backbone's last N layers; 0: all of them.",
        minimum=0,
        metavar="N",
        default_text="the last four fifths",
        parse=_parse_layers,
    )
    early_stopping_patience: int = setting(
        0, "Epochs without a better validation accuracy before fine-tuning stops; 0: never.", minimum=0
    )

    def __post_init__(self) -> None:
        check_settings(self, "fine_tune_")

    def to_dict(self) -> dict[str, Any]:
        """Returns the values as a JSON-serialisable dictionary."""
        return dataclasses.asdict(self)
