"""Whether the files of artifacts are still those that were written."""

from pathlib import Path

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from components.contracts.nodes import PUSHED_DESTINATION_PROPERTY
from components.contracts.output_folder import WRITTEN_BYTES_PROPERTY, WRITTEN_FILES_PROPERTY


def record_files(store: mlmd.MetadataStore, execution_id: int, output: str) -> None:
    """Records how many files and bytes an execution wrote below the output folder.

    Args:
        store: Where the execution is.
        execution_id: An execution that has just finished.
        output: The absolute path of the output folder.
    """
    events = store.get_events_by_execution_ids([execution_id])
    written = store.get_artifacts_by_id([event.artifact_id for event in events if event.type == pb.Event.OUTPUT])
    artifacts = [artifact for artifact in written if Path(artifact.uri).is_relative_to(output)]
    for artifact in artifacts:
        files, size = _measure(artifact)
        artifact.custom_properties[WRITTEN_FILES_PROPERTY].int_value = files
        artifact.custom_properties[WRITTEN_BYTES_PROPERTY].int_value = size
    store.put_artifacts(artifacts)


def discard_incomplete(store: mlmd.MetadataStore, context: pb.Context) -> int:
    """Marks artifacts as deleted whose files are no longer those that were recorded.

    TFX neither answers from its cache with such an artifact nor resolves it as a baseline.

    Args:
        store: The metadata store.
        context: That of the output folder.

    Returns:
        How many there were.
    """
    incomplete = [
        artifact
        for artifact in store.get_artifacts_by_context(context.id)
        if artifact.state == pb.Artifact.LIVE and WRITTEN_FILES_PROPERTY in artifact.custom_properties
        if _measure(artifact) != _recorded(artifact)
    ]
    for artifact in incomplete:
        artifact.state = pb.Artifact.DELETED
    store.put_artifacts(incomplete)
    return len(incomplete)


def _recorded(artifact: pb.Artifact) -> tuple[int, int]:
    properties = artifact.custom_properties
    return properties[WRITTEN_FILES_PROPERTY].int_value, properties[WRITTEN_BYTES_PROPERTY].int_value


def _measure(artifact: pb.Artifact) -> tuple[int, int]:
    """Returns number and bytes of the files in an artifact's folder and, of a pushed model, in its version's."""
    folders = [Path(artifact.uri)]
    if PUSHED_DESTINATION_PROPERTY in artifact.custom_properties:
        folders.append(Path(artifact.custom_properties[PUSHED_DESTINATION_PROPERTY].string_value))
    sizes = [path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)
