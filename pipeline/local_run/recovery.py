"""What killed runs left behind, and what has gone from the disk since: found, and told to ML Metadata."""

import contextlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import ml_metadata as mlmd
from ml_metadata.metadata_store import ListOptions, OrderByField
from ml_metadata.proto import metadata_store_pb2 as pb

from components.common.errors import UserError
from components.contracts import output_folder, serving_folder
from pipeline.config import PipelineConfig
from pipeline.local_run.artifact_files import discard_incomplete
from pipeline.records.connection import connect, connection_config

logger = logging.getLogger(__name__)

# An interrupted training goes on when the same training is asked for again; after so long nobody will.
ABANDONED_TRAINING_S: Final = 30 * 24 * 3600
_LOCK_PATIENCE_S: Final = 5.0
# Every run looks for what the one before it left unfinished, which is among the latest executions.
_LATEST: Final = ListOptions(limit=200, order_by=OrderByField.ID, is_asc=False)
_UNFINISHED: Final = (pb.Execution.NEW, pb.Execution.RUNNING)
_SUCCEEDED: Final = (pb.Execution.COMPLETE, pb.Execution.CACHED)


@contextlib.contextmanager
def recovering(config: PipelineConfig) -> Iterator[None]:
    """Clears away what killed runs left, and reports this one as failed if the user interrupts it.

    Args:
        config: The configuration of a run that holds the output folder.

    Raises:
        UserError: The metadata store cannot be written, is locked by another process, or is not the one that the
            output folder was written with.
    """
    has_own_store = _check_unlocked(config)
    store = connect(connection_config(config.metadata_uri))
    context = store.get_context_by_type_and_name(output_folder.OUTPUT_CONTEXT_TYPE, config.output)
    if context is None and not has_own_store:
        _check_is_new(config)
    if _fail_killed_executions(store, config):
        logger.info("An earlier run was killed: what it finished is kept, the rest runs again")
    _remove_leftovers(store, config)
    if context and (gone := discard_incomplete(store, context)):
        logger.info("%d earlier artifacts are no longer whole on disk: what is needed of them is made anew", gone)
    try:
        yield
    except KeyboardInterrupt:
        # TFX lets it pass. What the interrupted step wrote is removed next time: its threads may still write.
        _fail_killed_executions(store, config)
        raise


def _check_unlocked(config: PipelineConfig) -> bool:
    """Tells at once what ML Metadata would find out after most of a minute; returns whether the output has a store."""
    path = Path(config.output) / output_folder.METADATA_FILE
    if config.metadata or not path.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_PATIENCE_S)) as database:
            database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise UserError(f"cannot write to {path}: {error}; end the process that uses it, or choose --output") from error
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path} is no metadata store ({error}): move it away, or choose another --output") from error
    return True


def _check_is_new(config: PipelineConfig) -> None:
    """Refuses an output folder that another store knows: artifacts' folders are named by ids of that store."""
    if any(Path(config.output).glob(f"{output_folder.PIPELINES_FOLDER}/*/*/*/*")):
        raise UserError(
            f"{config.output} holds artifacts that {config.metadata_uri} does not know: choose another --output, or "
            "give the --metadata that they were made with"
        )


def _fail_killed_executions(store: mlmd.MetadataStore, config: PipelineConfig) -> int:
    """Marks executions that no process works on any more as failed, and returns how many there were.

    In the output's own store these are all that are unfinished; in another one, those in this output's context.
    """
    candidates = _executions(store, config) if config.metadata else store.get_executions(_LATEST)
    killed = [execution for execution in candidates if execution.last_known_state in _UNFINISHED]
    for execution in killed:
        execution.last_known_state = pb.Execution.FAILED
    store.put_executions(killed)
    return len(killed)


def _executions(store: mlmd.MetadataStore, config: PipelineConfig) -> list[pb.Execution]:
    """Returns the latest executions that wrote to this very output folder."""
    context = store.get_context_by_type_and_name(output_folder.OUTPUT_CONTEXT_TYPE, config.output)
    found: list[pb.Execution] = store.get_executions_by_context(context.id, _LATEST) if context else []
    return found


def _remove_leftovers(store: mlmd.MetadataStore, config: PipelineConfig) -> None:
    """Removes what executions that did not succeed wrote, TFX's working folders, half pushes and forgotten trainings.

    What an execution wrote is removed only if the store says that it ran on this output folder.
    """
    output = Path(config.output)
    unsuccessful = {e.id for e in _executions(store, config) if e.last_known_state not in _SUCCEEDED}
    # TFX makes such a folder for every execution, named by its id, before its executor starts.
    for working_folder in output.glob(f"{output_folder.PIPELINES_FOLDER}/*/*/.system/executor_execution/*"):
        if int(working_folder.name) in unsuccessful:
            for partial_output in working_folder.parents[2].glob(f"[!.]*/{working_folder.name}"):
                shutil.rmtree(partial_output)
    # Last, because they tell which executions ran here: a kill in the midst of this is made up for next time.
    for working_folder in output.glob(f"{output_folder.PIPELINES_FOLDER}/*/*/.system"):
        shutil.rmtree(working_folder)
    # Nobody else pushes below an output folder that this run holds.
    for staging in output.glob(f"{output_folder.SERVING_MODEL_FOLDER}/*/{serving_folder.STAGING_PREFIX}*"):
        shutil.rmtree(staging)
    for training in output.glob(f"{output_folder.TRAINING_FOLDER}/*/*"):
        is_abandoned = time.time() - training.stat().st_mtime > ABANDONED_TRAINING_S
        if is_abandoned or training.suffix == output_folder.FINISHED_SUFFIX:
            shutil.rmtree(training)
