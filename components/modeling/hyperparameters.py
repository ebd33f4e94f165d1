"""Hyperparameters of the head, its training and fine-tuning; `custom_config` carries them to `run_fn`."""

import dataclasses
import re
from typing import Final

from components.common.settings import check_settings, setting

REFERENCE: Final = "reference"
STRONG: Final = "strong"

Size = tuple[int, int]


def parse_size(text: str) -> Size:
    """Reads height and width in pixels, such as `224x224`; raises ValueError for anything else."""
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) > 0 and int(width) > 0):
        raise ValueError(f"{text!r} is not a size such as 224x224")
    return int(height), int(width)


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
    """Shape and training of the head; the defaults are the reference recipe's."""

    recipe: str = setting(
        REFERENCE,
        "reference: dense layers; strong: dense layers plus a kernel machine, with calibrated probabilities.",
        choices=(REFERENCE, STRONG),
        default_text="the preset's; reference with --fine-tune",
    )
    epochs: int = setting(10, "Passes over the training split.", minimum=1, per_run=True)
    batch_size: int = setting(32, "Photos per training step, over all replicas.", minimum=1, per_run=True)
    learning_rate: float = setting(1e-3, "Adam's learning rate.", above=0, per_run=True)
    hidden_units: int = setting(512, "Units of the hidden layer.", minimum=1, per_run=True)
    early_stopping_patience: int = setting(
        0, "Stop after this many epochs without a better validation accuracy; 0 disables it.", minimum=0
    )
    seed: int = setting(0, "Random seed.")
    log_every_steps: int = setting(10, "Steps between two reports of training loss and accuracy.", minimum=1, flag=None)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """Training of the whole classifier after its head; seed and batch size are those of `Hyperparameters`.

    What is not an option here is a constant of `components.trainer.fine_tuning`.
    """

    epochs: int = setting(10, "Passes over the training split.", minimum=1)
    budget: float | None = setting(
        None,
        "Time for fine-tuning: runs as many epochs as fit (up to 30), instead of --fine-tune-epochs.",
        above=0,
        flag="--budget",
        metavar="TIME",
        parse=_parse_seconds,
    )
    # Far below the head's, to keep what the backbone knows.
    learning_rate: float = setting(3e-4, "The backbone's peak learning rate; the head's is ten times as high.", above=0)
    layers: int | None = setting(
        None,
        "Train only the backbone's last N layers; 0 trains all of them.",
        minimum=0,
        metavar="N",
        default_text="the last four fifths",
        parse=_parse_layers,
    )

    def __post_init__(self) -> None:
        check_settings(self, "fine_tune_")
