"""How many epochs of fine-tuning a budget of time has room for, from a few steps on the very photos."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from components.storage.atomic import write_whole

MAX_EPOCHS: Final = 30
_FILE: Final = "epochs.json"


def epochs_within(seconds: float, seconds_per_epoch: float) -> int:
    """Returns how many epochs there is time for: at least 1, at most `MAX_EPOCHS`.

    Args:
        seconds: What is left of the budget.
        seconds_per_epoch: Training and validation.
    """
    return max(1, min(MAX_EPOCHS, int(seconds / seconds_per_epoch)))


def remembered_epochs(work_dir: Path, choose: Callable[[], int]) -> int:
    """Returns the number of epochs that this training began with: resumed, it must not choose once more.

    Args:
        work_dir: The training's own.
        choose: Chooses, when it begins.
    """
    file = work_dir / _FILE
    if file.exists():
        return int(json.loads(file.read_text()))
    epochs = choose()
    write_whole(file, json.dumps(epochs))
    return epochs
