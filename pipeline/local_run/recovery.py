"""After killed runs and lost files: removes what is left over, and corrects ML Metadata."""

import contextlib
import hashlib
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import ml_metadata as mlmd
from ml_metadata.metadata_store import ListOptions, OrderByField
from ml_metadata.proto import metadata_store_pb2 as pb

from components.common.errors import UserError
from components.contracts import output_folder, serving_folder
from components.contracts.nodes import PUSHED_DESTINATION_PROPERTY
from components.modeling.backbones.cache import content_digest
from pipeline.config import PipelineConfig
from pipeline.local_run.failures import was_interrupted
from pipeline.records.connection import connect

logger = logging.getLogger(__name__)

# An interrupted training is resumed by the same training; after this time it is removed.
ABANDONED_TRAINING_S: Final = 30 * 24 * 3600
_LOCK_PATIENCE_S: Final = 5.0
# Every run looks for executions that the run before it left unfinished: they are among the latest.
_LATEST: Final = ListOptions(limit=200, order_by=OrderByField.ID, is_asc=False)
_UNFINISHED: Final = (pb.Execution.NEW, pb.Execution.RUNNING)
_SUCCEEDED: Final = (pb.Execution.COMPLETE, pb.Execution.CACHED)
_File = tuple[str, os.stat_result]  # (path, status)
_COUNTS: Final = (output_folder.WRITTEN_FILES_PROPERTY, output_folder.WRITTEN_BYTES_PROPERTY)
_STAMP: Final = output_folder.WRITTEN_STAMP_PROPERTY


@contextlib.contextmanager
def recovering(config: PipelineConfig) -> Iterator[None]:
    """Removes what killed runs left in the locked output folder, and records this run if it is interrupted.

    Raises UserError if the metadata store cannot be written, is locked by another process, or does not belong to the
    output folder.
    """
    has_own_store = _check_unlocked(config)
    if not config.metadata and not has_own_store:
        _check_is_new(config)  # before connecting makes a store
    store = connect(config.metadata_uri)
    outputs = {context.name: context for context in store.get_contexts_by_type(output_folder.OUTPUT_CONTEXT_TYPE)}
    context = outputs.get(config.output)
    # The store of a copied output folder knows the original.
    if not (outputs if has_own_store else context):
        _check_is_new(config)
    if _cancel_unfinished(store, config):
        logger.info("An earlier run was killed: its finished steps are kept, the others run again")
    _remove_leftovers(store, config)
    if context and (gone := _discard_incomplete(store, context)):
        what = "artifact is" if gone == 1 else "artifacts are"
        logger.info("%d earlier %s no longer as written; the run makes what it needs of them again", gone, what)
    try:
        yield
    except BaseException as error:
        if was_interrupted(error):
            # What the interrupted step wrote is removed next time: its threads may still write.
            _cancel_unfinished(store, config, has_failed=isinstance(error, Exception))
        raise


def _check_unlocked(config: PipelineConfig) -> bool:
    """Fails at once where ML Metadata would need most of a minute; returns whether the output has a store."""
    path = Path(config.output) / output_folder.METADATA_FILE
    if config.metadata or not path.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_PATIENCE_S)) as database:
            database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise UserError(f"cannot write to {path}: {error}; end the process that uses it, or choose --output") from error
    except sqlite3.DatabaseError as error:
        raise UserError(
            f"{path} is not a metadata store ({error}): move it away, or choose another --output"
        ) from error
    return True


def _check_is_new(config: PipelineConfig) -> None:
    """Refuses an output folder of another store: artifacts' folders are named by ids of that store."""
    if any(Path(config.output).glob(f"{output_folder.PIPELINES_FOLDER}/*/*/*/*")):
        raise UserError(
            f"{config.output} holds artifacts that {config.metadata_uri} does not know: choose another --output, or "
            "give the --metadata that they were made with"
        )


def _cancel_unfinished(store: mlmd.MetadataStore, config: PipelineConfig, has_failed: bool = False) -> int:
    """Marks unfinished executions as cancelled, and returns how many there were.

    In the output's own store these are all of them; in another one, those in this output's context. `has_failed` tells
    that TFX has recorded the last one as failed, because Beam had wrapped the interrupt.
    """
    candidates = _executions(store, config) if config.metadata else store.get_executions(_LATEST)
    stopped = [execution for execution in candidates if execution.last_known_state in _UNFINISHED]
    if has_failed:
        stopped += [execution for execution in candidates[:1] if execution.last_known_state == pb.Execution.FAILED]
    for execution in stopped:
        execution.last_known_state = pb.Execution.CANCELED
    store.put_executions(stopped)
    return len(stopped)


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
    # Last, because they tell which executions ran here: if this is killed, the next run does it again.
    for working_folder in output.glob(f"{output_folder.PIPELINES_FOLDER}/*/*/.system"):
        shutil.rmtree(working_folder)
    # No other run pushes below a locked output folder.
    for staging in output.glob(f"{output_folder.SERVING_MODEL_FOLDER}/*/{serving_folder.STAGING_PREFIX}*"):
        shutil.rmtree(staging)
    for training in output.glob(f"{output_folder.TRAINING_FOLDER}/*/*"):
        is_abandoned = time.time() - training.stat().st_mtime > ABANDONED_TRAINING_S
        if is_abandoned or training.suffix == output_folder.FINISHED_SUFFIX:
            shutil.rmtree(training)


def record_files(store: mlmd.MetadataStore, execution_id: int, output: str) -> None:
    """Records which files a finished execution wrote below the output folder, an absolute path."""
    events = store.get_events_by_execution_ids([execution_id])
    written = store.get_artifacts_by_id([event.artifact_id for event in events if event.type == pb.Event.OUTPUT])
    artifacts = [artifact for artifact in written if Path(artifact.uri).is_relative_to(output)]
    for artifact in artifacts:
        files = _files(artifact)
        properties = artifact.custom_properties
        properties[output_folder.WRITTEN_FILES_PROPERTY].int_value = len(files)
        properties[output_folder.WRITTEN_BYTES_PROPERTY].int_value = _bytes(files)
        properties[_STAMP].string_value = _stamp(files)
        properties[output_folder.WRITTEN_DIGEST_PROPERTY].string_value = _digest(artifact)
    store.put_artifacts(artifacts)


def _discard_incomplete(store: mlmd.MetadataStore, context: pb.Context) -> int:
    """Marks artifacts as deleted whose files are no longer those that were recorded, and returns how many.

    TFX neither answers from its cache with such an artifact nor resolves it as a baseline.
    """
    changed, discarded = [], 0
    for artifact in store.get_artifacts_by_context(context.id):
        recorded = artifact.custom_properties
        if artifact.state != pb.Artifact.LIVE or output_folder.WRITTEN_FILES_PROPERTY not in recorded:
            continue
        files = _files(artifact)
        stamp = _stamp(files)
        if recorded[_STAMP].string_value == stamp:
            continue
        if not _is_intact(artifact, files):
            artifact.state = pb.Artifact.DELETED
            discarded += 1
        recorded[_STAMP].string_value = stamp
        changed.append(artifact)
    store.put_artifacts(changed)
    return discarded


def _is_intact(artifact: pb.Artifact, files: Sequence[_File]) -> bool:
    """Tells whether an artifact's files are those that were recorded; reads them."""
    recorded = artifact.custom_properties
    if (len(files), _bytes(files)) != tuple(recorded[name].int_value for name in _COUNTS):
        return False
    digest = recorded[output_folder.WRITTEN_DIGEST_PROPERTY].string_value
    return not digest or digest == _digest(artifact)  # Earlier versions of this project recorded none.


def _folders(artifact: pb.Artifact) -> Iterator[tuple[Path, str]]:
    """Yields an artifact's folder and, of a pushed model, its version's, each with a subfolder that does not count."""
    yield Path(artifact.uri), ""
    if PUSHED_DESTINATION_PROPERTY in artifact.custom_properties:
        destination = artifact.custom_properties[PUSHED_DESTINATION_PROPERTY].string_value
        yield Path(destination), serving_folder.EXTRA_ASSETS_FOLDER


def _files(artifact: pb.Artifact) -> list[_File]:
    return [
        (str(path), path.stat())
        for folder, without in _folders(artifact)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not (without and path.is_relative_to(folder / without))
    ]


def _bytes(files: Sequence[_File]) -> int:
    return sum(status.st_size for _, status in files)


def _stamp(files: Sequence[_File]) -> str:
    lines = "".join(f"{status.st_size} {status.st_mtime_ns} {path}\n" for path, status in files)
    return hashlib.sha256(os.fsencode(lines)).hexdigest()


def _digest(artifact: pb.Artifact) -> str:
    digests = [content_digest(str(folder), without) for folder, without in _folders(artifact)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
