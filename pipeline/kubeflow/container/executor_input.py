"""Makes what KFP's launcher hands to a container into what TFX's container entrypoint expects, and back.

Open-source KFP differs from the service that TFX wrote its entrypoint for in four ways. What it says of types and
names depends on its version: nothing, a schema as a title, ids, output keys. The launcher has copied inputs into the
container (`minio://bucket/key` to `/minio/bucket/key`) and uploads outputs from there, but states remote URIs that
TensorFlow could only read with a plugin. There may be outputs of its own, such as `executor-logs`, a file that it
writes while the component runs. And nobody makes the output folders.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Message = dict[str, Any]

# KFP's launcher: LocalPathForURI in backend/src/v2/component/launcher_v2.go.
LOCAL_FOLDERS = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/"}

# TFX's types whose artifact is a file, not a folder.
_VALUES = ("String", "Integer", "Float", "Boolean", "Bytes", "JsonValue")


@dataclasses.dataclass
class LocalUris:
    """The remote URIs of a task's artifacts, by their local path."""

    remote: dict[str, str] = dataclasses.field(default_factory=dict)

    def to_remote(self, text: str) -> str:
        """Returns a local path as a remote URI; other text is returned as it is."""
        for local, remote in self.remote.items():
            if text == local or text.startswith(f"{local}/"):
                return remote + text.removeprefix(local)
        return text


def local_path(artifact: Message) -> str:
    """Returns where the launcher keeps an artifact in the container.

    Args:
        artifact: A RuntimeArtifact.

    Returns:
        Its `customPath` if it has one, else the path that the launcher derives from a gs://, s3:// or minio:// URI; any
        other URI unchanged.
    """
    if custom_path := artifact.get("customPath"):
        return str(custom_path)
    uri = str(artifact["uri"])
    for scheme, folder in LOCAL_FOLDERS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def localize(executor_input: Message, inputs_spec: Message, outputs_spec: Message) -> LocalUris:
    """Gives artifacts local paths, types and names, and makes the output folders, as TFX's own launcher does.

    Args:
        executor_input: A KFP ExecutorInput; changed in place. Outputs that are not declared are dropped.
        inputs_spec: The component's input definitions.
        outputs_spec: The component's output definitions.

    Returns:
        The way back from local paths to remote URIs.
    """
    uris = LocalUris()
    outputs = executor_input.get("outputs", {}).get("artifacts", {})
    for key in set(outputs) - set(outputs_spec.get("artifacts", {})):
        del outputs[key]
    for direction, spec in (("inputs", inputs_spec), ("outputs", outputs_spec)):
        for key, artifact in _artifacts(executor_input.get(direction, {})):
            path = local_path(artifact)
            uris.remote[path] = artifact["uri"]
            # TFX makes an id of the name, which ends up in the blessing: nothing but the URI is unique in all versions.
            artifact |= {"uri": path, "name": artifact["uri"], "type": spec["artifacts"][key]["artifactType"]}
            artifact.pop("customPath", None)
            if direction == "outputs" and "://" not in path:
                folder = Path(path).parent if type_name(artifact) in _VALUES else Path(path)
                folder.mkdir(parents=True, exist_ok=True)
    return uris


def restore_remote_uris(executor_output: Message, uris: LocalUris) -> None:
    """Replaces local paths by remote URIs in what is reported to KFP.

    Args:
        executor_output: A KFP ExecutorOutput; changed in place.
        uris: What `localize` returned.
    """
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
