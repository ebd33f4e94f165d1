"""What lies beside the versions in a serving folder, and what a model read from there says of its origin.

TensorFlow Serving looks at folders that have a number for a name, and at nothing else. TFX is imported where it is
needed: commands that read runs use the names here.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Final

from components.common.errors import UserError
from components.common.records import from_json

LATEST_BLESSED_FILE: Final = "latest_blessed.json"  # `LatestBlessed`
STAGING_PREFIX: Final = ".staging-"  # of copies that are no version yet
PHOTOS_FOLDER: Final = "photos"  # of samples for DriftDetector: VERSION.npz
PUSHING_PREFIX: Final = ".pushing-"  # of the mark of a push that is going on: .pushing-SECONDS-KEY

# Custom property of a baseline that was read from a serving folder: its version, or NO_VERSION.
BASELINE_VERSION_PROPERTY: Final = "baseline_version"
NO_VERSION: Final = "none"  # nothing had been pushed: the artifact holds no model


@dataclasses.dataclass(frozen=True)
class LatestBlessed:
    """The model that was pushed last.

    Attributes:
        version: The name of its folder in the serving folder.
        uri: That folder, as Pusher knew it.
        class_names: Its classes, in label order.
        examples: Test photos that it was evaluated on.
        accuracy: Its test accuracy, in [0, 1].
        loss: Its mean cross-entropy on the test split, in nats.
        baseline_version: The version that BaselineReader had it compared with, or NO_VERSION.
    """

    version: str
    uri: str
    class_names: Sequence[str]
    examples: int
    accuracy: float
    loss: float
    baseline_version: str

    def to_json(self) -> str:
        """Returns the content of the pointer's file."""
        return json.dumps(dataclasses.asdict(self), indent=2)


def path_in(folder: str, name: str) -> str:
    """Returns the path of what is called `name` in a folder."""
    return os.path.join(folder, name)  # noqa: PTH118  (the folder may be a remote URI)


def photos_path(folder: str, version: str) -> str:
    """Returns where the sample of a version's photos is, if there is one."""
    return path_in(path_in(folder, PHOTOS_FOLDER), f"{version}.npz")


def names_in(folder: str) -> list[str]:
    """Returns the names of what is in a folder; none when it is not there."""
    from tfx.dsl.io import fileio

    # On an object store a folder is there as soon as something is in it.
    return [name.rstrip("/") for name in fileio.listdir(folder)] if fileio.exists(folder) else []


def latest_version(folder: str) -> int:
    """Returns a serving folder's highest version, 0 if it has none."""
    return max((int(name) for name in names_in(folder) if name.isdigit()), default=0)


def read_latest(folder: str) -> LatestBlessed | None:
    """Returns what the pointer says.

    Args:
        folder: The serving folder.

    Returns:
        The model that was pushed last; None when there is no pointer.

    Raises:
        UserError: The pointer is damaged.
    """
    from tfx.dsl.io import fileio

    path = path_in(folder, LATEST_BLESSED_FILE)
    if not fileio.exists(path):
        return None
    with fileio.open(path, "r") as file:
        text = file.read()
    try:
        return from_json(LatestBlessed, json.loads(text))
    except ValueError as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}): put it right, or delete it to go on without a "
            "baseline"
        ) from error
