"""Files beside the versions in a serving folder, and the custom property of a model that was read from there.

TensorFlow Serving reads only folders whose name is a number. TFX is imported where it is needed: commands that read
runs use the names here.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Final

from components.common.errors import UserError
from components.common.records import from_json

LATEST_BLESSED_FILE: Final = "latest_blessed.json"  # `LatestBlessed`
STAGING_PREFIX: Final = ".staging-"  # of incomplete copies
PHOTOS_FOLDER: Final = "photos"  # of samples for DriftDetector: VERSION.npz
EXTRA_ASSETS_FOLDER: Final = "assets.extra"  # in a version: added later, such as requests for TF Serving's warm-up
PUSHING_PREFIX: Final = ".pushing-"  # of the mark of a running push: .pushing-SECONDS-KEY

# Custom property of a baseline that was read from a serving folder: its version, or NO_VERSION.
BASELINE_VERSION_PROPERTY: Final = "baseline_version"
NO_VERSION: Final = "none"  # nothing had been pushed: the artifact holds no model


@dataclasses.dataclass(frozen=True)
class LatestBlessed:
    """The model that was pushed last, with its metrics on the test split."""

    version: str  # the name of its folder in the serving folder
    uri: str  # that folder, as Pusher knew it
    class_names: Sequence[str]  # in label order
    examples: int
    accuracy: float  # in [0, 1]
    loss: float  # mean cross-entropy in nats
    baseline_version: str  # that BaselineReader compared it with, or NO_VERSION

    def to_json(self) -> str:
        """Returns the content of the pointer's file."""
        return json.dumps(dataclasses.asdict(self), indent=2)


def path_in(folder: str, name: str) -> str:
    """Returns the path of a name in a folder."""
    return os.path.join(folder, name)  # noqa: PTH118  (the folder may be a remote URI)


def photos_path(folder: str, version: str) -> str:
    """Returns the path of the sample of a version's photos, which may not exist."""
    return path_in(path_in(folder, PHOTOS_FOLDER), f"{version}.npz")


def names_in(folder: str) -> list[str]:
    """Returns the names in a folder; none if it does not exist."""
    from tfx.dsl.io import fileio

    # On an object store a folder exists only if it is not empty.
    return [name.rstrip("/") for name in fileio.listdir(folder)] if fileio.exists(folder) else []


def latest_version(folder: str) -> int:
    """Returns a serving folder's highest version, 0 if it has none."""
    return max((int(name) for name in names_in(folder) if name.isdigit()), default=0)


def read_latest(folder: str) -> LatestBlessed | None:
    """Reads a serving folder's pointer; None without one. Raises UserError if it is damaged."""
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
            f"{path} is damaged ({error}): repair it, or delete it to continue without a baseline"
        ) from error
