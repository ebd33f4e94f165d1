"""What killed runs left behind: found, reported to ML Metadata, and removed."""

import contextlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import ml_metadata as mlmd
from ml_metadata.metadata_store import ListOptions
from ml_metadata.proto import metadata_store_pb2 as pb

from components.common.errors import UserError
from components.pusher.executor import remove_stale_staging
from pipeline.config import PipelineConfig
from pipeline.history.connection import connect, connection_config

logger = logging.getLogger(__name__)

# An interrupted training goes on when the same training is asked for again; after so long nobody will.
ABANDONED_TRAINING_S: Final = 30 * 24 * 3600
_LOCK_PATIENCE_S: Final = 5.0
_UNFINISHED = (pb.Execution.NEW, pb.Execution.RUNNING)
_UNFINISHED_QUERY = "last_known_state = NEW OR last_known_state = RUNNING"
_SUCCEEDED = (pb.Execution.COMPLETE, pb.Execution.CACHED)


@contextlib.contextmanager
def recovering(config: PipelineConfig) -> Iterator[None]:
    """Clears away what killed runs left, and reports this one as failed if the user interrupts it.

    Args:
        config: The configuration of a run that holds the output folder.

    Raises:
        UserError: The metadata store cannot be written, or is locked by another process.
    """
    _check_unlocked(config)
    if fail_killed_executions(config):
        logger.info("An earlier run was killed: what it finished is kept, the rest runs again")
    remove_leftovers(config)
    try:
        yield
    except KeyboardInterrupt:
        # TFX lets it pass. What the interrupted step wrote is removed next time: its threads may still write.
        fail_killed_executions(config)
        raise


def _check_unlocked(config: PipelineConfig) -> None:
    """Tells at once what ML Metadata would find out after most of a minute."""
    path = Path(config.output) / "metadata.sqlite"
    if config.metadata or not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_PATIENCE_S)) as database:
            database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise UserError(f"cannot write to {path}: {error}; end the process that uses it, or choose --output") from error
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path} is no metadata store ({error}): move it away, or choose another --output") from error


def fail_killed_executions(config: PipelineConfig) -> int:
    """Marks executions that no process works on any more as failed.

    In the output's own store these are all that are unfinished. A store elsewhere may be shared with runs on other
    outputs: there only those whose working folder is in this output are known to be this output's.

    Args:
        config: The configuration of a run that holds the output folder.

    Returns:
        How many there were.
    """
    store = connect(connection_config(config.metadata_uri))
    if config.metadata:
        candidates = _get_executions(store, (int(folder.name) for folder in _working_folders(config)))
    else:
        candidates = store.get_executions(
            ListOptions(filter_query="last_known_state = NEW OR last_known_state = RUNNING")
        )
    killed = [execution for execution in candidates if execution.last_known_state in _UNFINISHED]
    for execution in killed:
        execution.last_known_state = pb.Execution.FAILED
    if killed:
        store.put_executions(killed)
    return len(killed)


def remove_leftovers(config: PipelineConfig) -> None:
    """Removes what executions that did not succeed wrote, TFX's working folders, half pushes and forgotten trainings.

    Args:
        config: The configuration of a run that holds the output folder.
    """
    output = Path(config.output)
    folders = {int(folder.name): folder for folder in _working_folders(config)}
    store = connect(connection_config(config.metadata_uri))
    for execution in _get_executions(store, folders):
        if execution.last_known_state not in _SUCCEEDED:
            node_folder = folders[execution.id].parents[2]
            for partial_output in node_folder.glob(f"[!.]*/{execution.id}"):
                shutil.rmtree(partial_output)
    # Last, because they tell which executions ran here: a kill in the midst of this is made up for next time.
    for working_folder in output.glob("pipelines/*/*/.system"):
        shutil.rmtree(working_folder)
    for serving_folder in output.glob("serving_model/*"):
        remove_stale_staging(str(serving_folder))
    for training in output.glob("training/*/*"):
        if time.time() - training.stat().st_mtime > ABANDONED_TRAINING_S:
            shutil.rmtree(training)


def _working_folders(config: PipelineConfig) -> Iterator[Path]:
    """Yields the folders that TFX makes for every execution, named by its id, before its executor starts."""
    return Path(config.output).glob("pipelines/*/*/.system/executor_execution/*")


def _get_executions(store: mlmd.MetadataStore, ids: Iterable[int]) -> list[pb.Execution]:
    found: list[pb.Execution] = store.get_executions_by_id(list(ids))
    return found
