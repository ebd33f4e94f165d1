"""Converts the input of a container between KFP's launcher and TFX's container entrypoint.

Open-source KFP differs from the service that TFX wrote its entrypoint for:

- The form of artifact types and names depends on KFP's version: missing, a schema as a title, ids, or output keys.
- The launcher copies inputs into the container (`minio://bucket/key` to `/minio/bucket/key`) and uploads outputs from
  there, but passes remote URIs, which TensorFlow can only read with a plugin.
- It may add outputs, such as the file `executor-logs`, which it writes while the component runs.
- It does not make the output folders.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Message = dict[str, Any]

# KFP's launcher: LocalPathForURI in backend/src/v2/component/launcher_v2.go.
LOCAL_FOLDERS = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/"}

# TFX's types whose artifact is a file.
_VALUES = ("String", "Integer", "Float", "Boolean", "Bytes", "JsonValue")


class LocalUris(dict[str, str]):
    """The remote URIs of a task's artifacts, by their local path."""

    def to_remote(self, text: str) -> str:
        """Converts a local path to its remote URI; other text is returned unchanged."""
        for local, remote in self.items():
            if text == local or text.startswith(f"{local}/"):
                return remote + text.removeprefix(local)
        return text


def local_path(artifact: Message) -> str:
    """Returns the local path of a RuntimeArtifact, as KFP's launcher derives it; other URIs are returned unchanged."""
    if custom_path := artifact.get("customPath"):
        return str(custom_path)
    uri = str(artifact["uri"])
    for scheme, folder in LOCAL_FOLDERS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def localize(executor_input: Message, inputs_spec: Message, outputs_spec: Message) -> LocalUris:
    """Gives artifacts local paths, types and names, and makes the output folders, as TFX's own launcher does.

    Changes `executor_input`, a KFP ExecutorInput, in place, and drops outputs that the component does not declare.
    """
    uris = LocalUris()
    outputs = executor_input.get("outputs", {}).get("artifacts", {})
    for key in set(outputs) - set(outputs_spec.get("artifacts", {})):
        del outputs[key]
    for direction, spec in (("inputs", inputs_spec), ("outputs", outputs_spec)):
        for key, artifact in _artifacts(executor_input.get(direction, {})):
            path = local_path(artifact)
            uris[path] = artifact["uri"]
            # TFX derives the blessing's model id from the name; only the URI is unique in all versions of KFP.
            artifact |= {"uri": path, "name": artifact["uri"], "type": spec["artifacts"][key]["artifactType"]}
            artifact.pop("customPath", None)
            if direction == "outputs" and "://" not in path:
                folder = Path(path).parent if type_name(artifact) in _VALUES else Path(path)
                folder.mkdir(parents=True, exist_ok=True)
    return uris


def restore_remote_uris(executor_output: Message, uris: LocalUris) -> None:
    """Replaces local paths by remote URIs in a KFP ExecutorOutput, in place."""
    for _, artifact in _artifacts(executor_output):
        artifact["uri"] = uris.to_remote(artifact["uri"])
        metadata = artifact.get("metadata", {})
        for name, value in metadata.items():
            if isinstance(value, str):
                metadata[name] = uris.to_remote(value)


def type_name(artifact: Message) -> str:
    """Returns an artifact's type name without its namespace, such as `Examples`."""
    kind = artifact["type"]
    schema = yaml.safe_load(kind.get("instanceSchema") or "") or {}
    title = kind.get("schemaTitle") or schema.get("title", "")
    return str(title).removeprefix("tfx.")


def _artifacts(message: Message) -> Iterator[tuple[str, Message]]:
    for key, artifact_list in message.get("artifacts", {}).items():
        for artifact in artifact_list.get("artifacts", []):
            yield key, artifact
