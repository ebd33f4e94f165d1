"""Files of a batch's target, a folder on this machine or in a bucket: each is written whole or not at all."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Final

import tensorflow as tf
from tfx.dsl.io import fileio

from components.common.errors import UserError, reason_of
from components.contracts.serving_folder import path_in

# Readers of folders (Spark, Arrow, pandas) skip what begins with an underscore.
PLAN_FOLDER: Final = "_plan"
_UNFINISHED: Final = f"{PLAN_FOLDER}/unfinished"


@contextlib.contextmanager
def using(target: str) -> Iterator[None]:
    """Makes what a target's storage refuses a user's error.

    Args:
        target: The target.

    Raises:
        UserError: It cannot be read or written.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"cannot write to --to {target}: {reason_of(error)}") from error


def write_whole(target: str, name: str, content: bytes) -> None:
    """Writes a file of which nobody ever sees a part, even if this process is killed.

    Args:
        target: The target.
        name: The file's path below it; an existing one is replaced.
        content: What it holds.

    Raises:
        UserError: The target cannot be written.
    """
    folder = path_in(target, _UNFINISHED)
    # Two workers may have the same shard: Beam gives it to another one when it lost sight of the first.
    unfinished = path_in(folder, uuid.uuid4().hex)
    with using(target):
        fileio.makedirs(folder)
        with fileio.open(unfinished, "wb") as file:
            file.write(content)
        fileio.rename(unfinished, path_in(target, name), overwrite=True)


def read_whole(target: str, name: str) -> bytes:
    """Returns what a file of the target holds."""
    with fileio.open(path_in(target, name), "rb") as file:
        content: bytes = file.read()
    return content


def remove_unfinished(target: str) -> None:
    """Removes what killed workers left."""
    if fileio.exists(path_in(target, _UNFINISHED)):
        fileio.rmtree(path_in(target, _UNFINISHED))
