"""A serving folder as Pusher leaves it: versions of a model, and a pointer to the one that was pushed last.

The folder may be on any storage that TensorFlow reads and writes.
"""

import dataclasses
import json
import os
from typing import Any

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from components.common.contracts.serving_folder import LATEST_BLESSED_FILE, PHOTOS_FOLDER, LatestBlessed
from components.common.errors import UserError


def path_in(folder: str, name: str) -> str:
    """Returns the path of what is called `name` in a folder."""
    return os.path.join(folder, name)  # noqa: PTH118  (the folder may be a remote URI)


def photos_path(folder: str, version: str) -> str:
    """Returns where the sample of a version's photos is, if there is one."""
    return path_in(path_in(folder, PHOTOS_FOLDER), f"{version}.npz")


def names_in(folder: str) -> list[str]:
    """Returns the names of what is in a folder; none when it is not there."""
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
    path = path_in(folder, LATEST_BLESSED_FILE)
    if not fileio.exists(path):
        return None
    with fileio.open(path, "r") as file:
        text = file.read()
    try:
        content: dict[str, Any] = json.loads(text)
        return LatestBlessed.from_json(content)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}): put it right, or delete it to go on without a "
            "baseline"
        ) from error


def write_latest(folder: str, latest: LatestBlessed, staging: str) -> None:
    """Moves the pointer; readers see the old one or the new one, whole.

    Args:
        folder: The serving folder.
        latest: What the pointer says from now on.
        staging: A folder on the same storage, for the file until it is complete.
    """
    temporary = path_in(staging, LATEST_BLESSED_FILE)
    io_utils.write_string_file(temporary, json.dumps(dataclasses.asdict(latest), indent=2))
    fileio.rename(temporary, path_in(folder, LATEST_BLESSED_FILE), overwrite=True)
